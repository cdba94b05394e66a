"""Sign-in by a provider, from the button to the session: attempts, linked identities, new accounts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core import audit
from cloud.core.audit import Actor
from cloud.core.database import Database
from cloud.core.rate_limit import RateLimit
from cloud.identity import oidc, oidc_repository, repository, tokens
from cloud.identity.domain import SignInRefusedError
from cloud.identity.oidc import Metadata, Provider, SignOnError
from cloud.identity.oidc_calls import ProviderCalls
from cloud.identity.oidc_tables import BEHIND_CHARACTERS_MAX, ExternalIdentityRow, SignOnAttemptRow
from cloud.identity.service import IdentityService
from kit.clock import Clock

ATTEMPT_MS: Final = 10 * 60_000
ATTEMPTS_MAX: Final = 10_000
"""Browsers on their way at one time; then nobody new is sent until some have come back or their time is over."""
TRIES_PER_S: Final = 0.2
TRIES_BURST: Final = 30
"""Steps (out and back) from one network address."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A provider as the sign-in page offers it; the labels by language."""

    name: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SentOut:
    """Where a browser goes, and the secret that it keeps meanwhile."""

    url: str
    secret: str


@dataclass(frozen=True, slots=True)
class Arrived:
    """The token of a new session, and the page that the person wanted to see."""

    token: str
    behind: str


class SingleSignOn:
    """No call to a provider is made inside a transaction."""

    def __init__(
        self,
        database: Database,
        people: IdentityService,
        providers: Sequence[Provider],
        calls: ProviderCalls,
        clock: Clock,
        *,
        public_url: str,
    ) -> None:
        self._database = database
        self._people = people
        self._providers = {provider.name: provider for provider in providers}
        self._calls = calls
        self._clock = clock
        self._public_url = public_url.rstrip("/")
        self._tries = RateLimit(per_s=TRIES_PER_S, burst=TRIES_BURST)

    @property
    def is_secure(self) -> bool:
        """Whether browsers reach us by https."""
        return self._public_url.startswith("https:")

    def choices(self) -> list[Choice]:
        """What the sign-in page offers, in the order of the settings."""
        return [Choice(provider.name, provider.labels) for provider in self._providers.values()]

    async def send_out(self, name: str, behind: str, address: str) -> SentOut:
        """Begin: `behind` is the page of ours to show afterwards.

        Raises:
            SignOnError: no such provider, it does not answer, or too many are under way.
        """
        provider = self._provider(name)
        self._count(address)
        metadata = await self._calls.metadata(provider)
        secret = tokens.new_token()
        attempt = oidc.attempt_of(secret)
        now_ms = self._clock.utc_ms()
        async with self._database.transaction() as session:
            await oidc_repository.drop_expired(session, now_ms)
            if await oidc_repository.attempts_count(session) >= ATTEMPTS_MAX:
                raise SignOnError("too_many", f"{ATTEMPTS_MAX} attempts are under way")
            row = SignOnAttemptRow(
                state_hash=tokens.hash_of(attempt.state),
                provider=name,
                behind=behind if len(behind) <= BEHIND_CHARACTERS_MAX else "/",
                expires_ms=now_ms + ATTEMPT_MS,
            )
            session.add(row)
        return SentOut(oidc.authorization_url(provider, metadata, attempt, self._redirect_uri(name)), secret)

    async def come_back(self, name: str, answer: Mapping[str, str], secret: str, address: str) -> Arrived:
        """End: what the provider sent the browser back with.

        Raises:
            SignOnError: the answer is not believed, or the person has no access here.
        """
        provider = self._provider(name)
        self._count(address)
        attempt = oidc.attempt_of(secret)
        oidc.check_state(answer, attempt)  # only the browser that was sent out can spend its attempt
        behind = await self._taken(name, attempt.state)
        metadata = await self._calls.metadata(provider)
        code = oidc.code_of(answer, attempt, provider, metadata)
        given = await self._calls.exchange(provider, metadata, code, attempt.verifier, self._redirect_uri(name))
        claims = await self._claims(provider, metadata, attempt, given)
        return Arrived(await self._signed_in(provider, claims, address), behind)

    def _provider(self, name: str) -> Provider:
        found = self._providers.get(name)
        if found is None:
            raise SignOnError("unknown", f"no provider is named {name!r}")
        return found

    def _count(self, address: str) -> None:
        if self._tries.take(address, self._clock.monotonic_s()):
            raise SignOnError("too_many", "too many steps from this address")

    def _redirect_uri(self, name: str) -> str:
        return f"{self._public_url}/login/oidc/{name}/callback"

    async def _taken(self, name: str, state: str) -> str:
        async with self._database.transaction() as session:
            row = await oidc_repository.take_attempt(session, tokens.hash_of(state))
        if row is None or row.provider != name or row.expires_ms <= self._clock.utc_ms():
            raise SignOnError("attempt", "the attempt was used, is too old, or was another provider's")
        return row.behind

    async def _claims(
        self, provider: Provider, metadata: Metadata, attempt: oidc.Attempt, given: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The claims of the ID token; the address from userinfo where only that has it (Core, 5.4)."""
        token, access_token = given.get("id_token"), given.get("access_token")
        if not isinstance(token, str):
            raise SignOnError("answer", "the provider gave no ID token")
        key = await self._calls.key(provider, metadata, oidc.key_id(token))
        claims = oidc.claims_of(token, key, provider, attempt, self._clock.utc_ms() // 1000)
        if "email" not in claims and metadata.userinfo_endpoint and isinstance(access_token, str) and access_token:
            more = await self._calls.userinfo(metadata, access_token)
            if more.get("sub") != claims["sub"]:
                raise SignOnError("answer", "userinfo is about somebody else than the ID token")
            claims |= {name: more[name] for name in ("email", "email_verified", "name") if name in more}
        return claims

    async def _signed_in(self, provider: Provider, claims: Mapping[str, Any], address: str) -> str:
        """A session for whom the claims are about; who is refused is noted in the audit log of the tenant."""
        now_ms = self._clock.utc_ms()
        try:
            async with self._database.transaction() as session:
                user_id = await self._user(session, provider, claims, address, now_ms)
                return await self._people.sign_in_external(
                    session, user_id, tenant_id=provider.tenant_id, address=address, now_ms=now_ms
                )
        except (SignOnError, SignInRefusedError) as error:
            refusal = error if isinstance(error, SignOnError) else SignOnError("disabled", str(error))
            actor, after = Actor("nobody", address=address), {"reason": refusal.reason}
            async with self._database.transaction() as session:
                target = f"provider:{provider.name}"
                audit.record(session, provider.tenant_id, actor, "sign_in_refused", target, now_ms=now_ms, after=after)
            raise refusal from error

    async def _user(
        self, session: AsyncSession, provider: Provider, claims: Mapping[str, Any], address: str, now_ms: int
    ) -> str:
        """The account: the one that was linked, else the one whose login is the address, else a new one."""
        known = await oidc_repository.identity(session, provider.issuer, claims["sub"])
        if known is not None and not provider.allowed_domains:
            return known.user_id
        email = oidc.verified_email(claims)
        oidc.check_domain(email, provider)
        if known is not None:
            return known.user_id
        user = await repository.user_by_login(session, email)
        actor = Actor("nobody", name=email, address=address)
        if user is not None:
            await self._check_may_link(session, provider, user.user_id)
            user_id = user.user_id
        else:
            await self._check_may_create(session, provider)
            user_id = await self._people.admit(
                session,
                actor,
                login=email,
                name=_name(claims),
                tenant_id=provider.tenant_id,
                role=provider.role,
                now_ms=now_ms,
            )
        row = ExternalIdentityRow(issuer=provider.issuer, subject=claims["sub"], user_id=user_id, linked_ms=now_ms)
        session.add(row)
        await session.flush()
        after = {"provider": provider.name, "issuer": provider.issuer, "email": email}
        target = f"user:{user_id}"
        audit.record(session, provider.tenant_id, actor, "identity_linked", target, now_ms=now_ms, after=after)
        return user_id

    async def _check_may_link(self, session: AsyncSession, provider: Provider, user_id: str) -> None:
        """One company's provider vouches for that company's people only, and an address may get a new owner there."""
        if await oidc_repository.is_linked(session, user_id, provider.issuer):
            raise SignOnError("no_account", "the account with this address belongs to another subject of the provider")
        tenants = {row.tenant_id for row in await repository.memberships(session, user_id)}
        if tenants != {provider.tenant_id}:
            raise SignOnError("no_account", "the account with this address is not of the provider's tenant alone")

    async def _check_may_create(self, session: AsyncSession, provider: Provider) -> None:
        if not await repository.users_count(session):
            raise SignOnError("not_set_up", "the first account is made with the setup link")
        if not provider.creates_users:
            raise SignOnError("no_account", "no account has this address as login, and create_users is off")


def _name(claims: Mapping[str, Any]) -> str:
    name = claims.get("name")
    return name if isinstance(name, str) else ""
