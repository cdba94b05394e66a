"""The front desk: passwords are checked here, outside of any transaction; what comes of it is written in one."""

from typing import Final

from cloud.core.access import Principal
from cloud.core.audit import Actor
from cloud.core.database import Database
from cloud.core.rate_limit import RateLimit
from cloud.identity import passwords, repository
from cloud.identity.domain import SignInRefusedError, tidy_login
from cloud.identity.passwords import PasswordError, Passwords
from cloud.identity.service import IdentityService
from kit.clock import Clock
from kit.errors import ZhisanError

TRIES_PER_S: Final = 0.1
TRIES_BURST: Final = 20
"""Tries from one network address: an office behind one router signs in in the morning, a guesser gets six a minute."""


class TooManyTriesError(ZhisanError):
    """Too many tries from this address; the next is taken in `retry_s` seconds."""

    def __init__(self, retry_s: float) -> None:
        super().__init__(f"Too many tries; wait {retry_s:.0f} s.")
        self.retry_s = retry_s


class FrontDesk:
    """Sign-in, first set-up, one-time links, own password."""

    def __init__(self, database: Database, people: IdentityService, hasher: Passwords, clock: Clock) -> None:
        self._database = database
        self._people = people
        self._hasher = hasher
        self._clock = clock
        self._tries = RateLimit(per_s=TRIES_PER_S, burst=TRIES_BURST)

    async def sign_in(self, login: str, password: str, address: str) -> str:
        """The token of a new session.

        Raises:
            TooManyTriesError: from this address.
            SignInRefusedError: the login or the password is wrong, or the account is locked or disabled.
        """
        self._count(address)
        async with self._database.reading() as session:
            user = await repository.user_by_login(session, tidy_login(login))
        kept = user.password_hash if user is not None else None
        is_right = await self._hasher.is_right(password[: passwords.CHARACTERS_MAX + 1], kept)
        now_ms = self._clock.utc_ms()
        async with self._database.transaction() as session:
            if user is None:
                self._people.stranger_refused(session, address, now_ms)  # a commit here too: it takes as long
                token = None
            else:
                right_for = kept if is_right else None
                token = await self._people.sign_in(
                    session, user.user_id, right_for=right_for, address=address, now_ms=now_ms
                )
        if token is None:
            raise SignInRefusedError("sign-in refused")
        return token

    async def link_login(self, token: str, address: str) -> str:
        """Whose one-time link it is; empty for the first set-up.

        Raises:
            TooManyTriesError: from this address.
            LinkError: the link is not good (any more).
        """
        self._count(address)
        async with self._database.reading() as session:
            return await self._people.link_login(session, token, self._clock.utc_ms())

    async def set_up(self, token: str, *, login: str, name: str, password: str, address: str) -> str:
        """Make the first admin; the token of a new session.

        Raises:
            PasswordError: the password is not taken.
            TooManyTriesError: from this address.
            LinkError: the link is not good (any more).
        """
        await self.link_login(token, address)
        passwords.check(password, login)
        password_hash = await self._hasher.hash(password)
        async with self._database.transaction() as session:
            return await self._people.set_up(
                session,
                token,
                login=login,
                name=name,
                password_hash=password_hash,
                address=address,
                now_ms=self._clock.utc_ms(),
            )

    async def take_link(self, token: str, password: str, address: str) -> str:
        """Set the password that a one-time link is for; the token of a new session.

        Raises:
            PasswordError: the password is not taken.
            TooManyTriesError: from this address.
            LinkError: the link is not good (any more).
        """
        login = await self.link_login(token, address)
        passwords.check(password, login)
        password_hash = await self._hasher.hash(password)
        async with self._database.transaction() as session:
            return await self._people.take_link(
                session, token, password_hash=password_hash, address=address, now_ms=self._clock.utc_ms()
            )

    async def change_password(self, principal: Principal, old: str, new: str, actor: Actor) -> str:
        """Set one's own password; the token of the one session that is left.

        Raises:
            PasswordError: the new one is not taken; reason `old` when the old one is wrong.
            TooManyTriesError: from this address.
        """
        self._count(actor.address)
        async with self._database.reading() as session:
            user = await repository.user(session, principal.id)
        if user is None or not await self._hasher.is_right(old[: passwords.CHARACTERS_MAX + 1], user.password_hash):
            raise PasswordError("old")
        passwords.check(new, user.login)
        password_hash = await self._hasher.hash(new)
        async with self._database.transaction() as session:
            now_ms = self._clock.utc_ms()
            return await self._people.change_password(session, principal, password_hash, actor, now_ms)

    def _count(self, address: str) -> None:
        retry_s = self._tries.take(address, self._clock.monotonic_s())
        if retry_s:
            raise TooManyTriesError(retry_s)
