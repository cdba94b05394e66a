"""Where pages have self-service done: limits tries, hashes passwords, opens the transactions, sends the mail."""

from collections.abc import Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from typing import Final

import structlog

from cloud.alarms.naming import Texts
from cloud.core.database import Database
from cloud.core.rate_limit import RateLimit
from cloud.core.tenants import TenantId
from cloud.fleet import reading
from cloud.gateways import service as gateways
from cloud.identity import passwords
from cloud.identity.desk import TooManyTriesError
from cloud.identity.passwords import Passwords
from cloud.identity.service import IdentityService
from cloud.self_service import service, writings
from cloud.self_service.diagnosis import Facts, GatewayFact, PressFact
from cloud.self_service.domain import NO_TAX, Pack, SignupError, Tax, Wish, checked
from cloud.self_service.tables import SignupRow
from cloud.webhooks import mail
from cloud.webhooks.mail import MailRelay
from kit.clock import Clock

TRIES_PER_S: Final = 1 / 60
TRIES_BURST: Final = 10
"""Sign-ups and their confirmations from one network address."""
MAIL_S_MAX: Final = 10.0
DIAGNOSED_MAX: Final = 500
JOURNAL_RECORDS: Final = "JournalRecords"
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Signup:
    """What sign-up is like here: whether it is offered, its packs, how addresses are confirmed, the tax of invoices."""

    is_open: bool = False
    packs: tuple[Pack, ...] = ()
    by_mail: bool = True
    tax: Tax = NO_TAX


class SelfServiceDesk:
    """The desk of one cloud."""

    def __init__(
        self,
        database: Database,
        people: IdentityService,
        hasher: Passwords,
        clock: Clock,
        texts: Mapping[str, Texts],
        *,
        signup: Signup,
        relay: MailRelay | None = None,
        can_claim: bool = False,
    ) -> None:
        self.database = database
        self.clock = clock
        self.signup = signup
        self.articles = writings.load(writings.ARTICLES)
        self.terms = writings.load(writings.TERMS)
        self.terms_version = writings.newest(self.terms)
        self.packs = {pack.pack_id: pack for pack in signup.packs}
        self._people = people
        self._hasher = hasher
        self._texts = texts
        self._relay = relay
        self._can_claim = can_claim
        self._tries = RateLimit(per_s=TRIES_PER_S, burst=TRIES_BURST)

    async def begin(self, wish: Wish, *, language: str, address: str, base_url: str) -> str:
        """Take a wish; the link that confirms it where no mail is sent, else empty.

        Raises:
            TooManyTriesError: from this address.
            SignupError: a field cannot be used, or (without mail) the address has an account; `mail`: it was not sent.
        """
        self._count(address)
        wish = checked(wish, self.packs, self.terms_version)
        async with self.database.transaction() as session:
            token = await service.begin(session, wish, language=language, address=address, now_ms=self.clock.utc_ms())
        link = f"{base_url}/signup/confirm?token={token}" if token is not None else f"{base_url}/login"
        if self.signup.by_mail:
            await self._send(wish, link, language, "signup.mail" if token is not None else "signup.mail_known")
            return ""
        if token is None:
            raise SignupError("taken")
        return link

    async def wish_of(self, token: str, address: str) -> SignupRow:
        """The sign-up that a link confirms.

        Raises:
            TooManyTriesError: from this address.
            SignupError: the link is not good (any more).
        """
        self._count(address)
        async with self.database.reading() as session:
            return await service.wish_of(session, token, self.clock.utc_ms())

    async def finish(self, token: str, password: str, address: str) -> str:
        """Make the company; the token of its administrator's session.

        Raises:
            TooManyTriesError: from this address.
            SignupError: see `service.finish`.
            PasswordError: the password is not taken.
        """
        row = await self.wish_of(token, address)
        passwords.check(password, row.email)
        password_hash = await self._hasher.hash(password)
        async with self.database.transaction() as session:
            return await service.finish(
                session,
                self._people,
                token,
                self.packs.get,
                self._read,
                password_hash=password_hash,
                address=address,
                now_ms=self.clock.utc_ms(),
                tax=self.signup.tax,
            )

    async def facts(self, tenant_id: TenantId, locked: frozenset[tuple[str, str]]) -> Facts:
        """What guided diagnosis asks of, at most DIAGNOSED_MAX gateways and presses."""
        async with self.database.reading() as session:
            identities = await gateways.identities(session, tenant_id, limit=DIAGNOSED_MAX)
            seen = await reading.gateways(session, tenant_id, limit=DIAGNOSED_MAX)
            presses = await reading.presses(session, tenant_id, limit=DIAGNOSED_MAX)
        claimed = {(one.plant_id, one.gateway_id): one for one in identities.items}
        at_work = {(one.plant_id, one.gateway_id): one for one in seen.items}
        return Facts(
            now_ms=self.clock.utc_ms(),
            can_claim=self._can_claim,
            gateways=[
                GatewayFact(
                    place="/".join(key),
                    is_claimed=key in claimed,
                    expires_ms=claimed[key].expires_ms if key in claimed else None,
                    is_revoked=key in claimed and claimed[key].revoked_ms is not None,
                    is_seen=key in at_work,
                    is_online=key in at_work and at_work[key].state == "online",
                    clock_offset_s=at_work[key].clock_offset_s if key in at_work else None,
                    waiting=at_work[key].health.get(JOURNAL_RECORDS) if key in at_work else None,
                )
                for key in sorted(claimed.keys() | at_work.keys())
            ],
            presses=[
                PressFact(
                    place=f"{one.plant_id}/{one.press_id}",
                    is_online=one.state == "online",
                    is_locked=(one.plant_id, one.press_id) in locked,
                    has_shots=one.last_shot_ms is not None,
                )
                for one in presses.items
            ],
        )

    def _read(self, version: str, language: str) -> service.Read:
        """The terms as they were shown."""
        return service.Read(version, language, self.terms[version, language].sha256)

    async def _send(self, wish: Wish, link: str, language: str, key: str) -> None:
        assert self._relay is not None, "the settings see to it"
        t = self._texts[language]
        email = EmailMessage(policy=SMTP)
        email["From"], email["To"], email["Subject"] = self._relay.sender, wish.email, t(f"{key}_subject")
        email["Auto-Submitted"] = "auto-generated"
        email.set_content(t(f"{key}_text", name=wish.name, link=link) + "\n")
        answer = await mail.send(self._relay, email, [wish.email], seconds_max=MAIL_S_MAX)
        if answer.error:
            log.warning("signup_mail_failed", error=answer.error)
            raise SignupError("mail")

    def _count(self, address: str) -> None:
        retry_s = self._tries.take(address, self.clock.monotonic_s())
        if retry_s:
            raise TooManyTriesError(retry_s)
