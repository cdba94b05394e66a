"""Endpoints: made, changed, given new secrets, tested and removed, each with its line in the audit log."""

import base64
import secrets as randomness
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core import audit
from cloud.core.audit import SYSTEM, Actor
from cloud.core.database import announce
from cloud.core.live import Live
from cloud.core.paging import Slice, slice_of
from cloud.core.problems import NotFoundError
from cloud.core.tenants import DEFAULT_TENANT, TenantId
from cloud.entitlements import gates
from cloud.webhooks import repository
from cloud.webhooks.domain import ConfiguredEndpoint, EndpointError
from cloud.webhooks.masking import STARS, shown_url
from cloud.webhooks.rules import ENDPOINTS_MAX, Draft, checked
from cloud.webhooks.sealing import Private, Sealer, SealError
from cloud.webhooks.service import WebhookService
from cloud.webhooks.tables import EndpointRow
from cloud.webhooks.templates.services import SERVICES
from cloud.webhooks.views import Endpoint, endpoint_of, filter_of, language_of, template_of
from kit.clock import Clock
from kit.ids import uuid7

SECRET_BYTES: Final = 32
GRACE_H_DEFAULT: Final = 24
GRACE_H_MAX: Final = 7 * 24
HOUR_MS: Final = 3_600_000
BY_HAND: Final = "by_hand"
NOT_IN_SETTINGS: Final = "the endpoint is no longer in the settings"
log = structlog.get_logger()


class EndpointService:
    """The life of endpoints; every method works in the caller's transaction."""

    def __init__(
        self,
        webhooks: WebhookService,
        sealer: Sealer,
        live: Live,
        clock: Clock,
        *,
        may_call_private: bool = False,
        has_mail: bool = False,
    ) -> None:
        self._webhooks = webhooks
        self._sealer = sealer
        self._live = live
        self._clock = clock
        self.may_call_private = may_call_private
        self.has_mail = has_mail

    async def endpoints(
        self, session: AsyncSession, tenant_id: TenantId, *, after: str = "", limit: int = ENDPOINTS_MAX
    ) -> Slice[Endpoint]:
        """The tenant's endpoints by name."""
        rows = await repository.endpoints(session, tenant_id, after=after, limit=limit + 1)
        counts, now_ms = await repository.counts(session, tenant_id), self._clock.utc_ms()
        return slice_of([endpoint_of(row, counts.get(row.endpoint_id, {}), now_ms) for row in rows], limit)

    async def endpoint(self, session: AsyncSession, tenant_id: TenantId, endpoint_id: UUID) -> Endpoint:
        """One endpoint.

        Raises:
            NotFoundError: the tenant has no such endpoint.
        """
        row = await self.row(session, tenant_id, endpoint_id)
        counts = await repository.counts(session, tenant_id)
        return endpoint_of(row, counts.get(endpoint_id, {}), self._clock.utc_ms())

    async def row(self, session: AsyncSession, tenant_id: TenantId, endpoint_id: UUID) -> EndpointRow:
        """The row of an endpoint.

        Raises:
            NotFoundError: the tenant has no such endpoint.
        """
        row = await repository.endpoint(session, tenant_id, endpoint_id)
        if row is None:
            raise NotFoundError("endpoint", str(endpoint_id))
        return row

    async def create(
        self, session: AsyncSession, tenant_id: TenantId, actor: Actor, draft: Draft
    ) -> tuple[EndpointRow, str]:
        """A new endpoint, and the secret that was made for it: told here and never again; empty where none is.

        Raises:
            InvalidFieldError: a field cannot be used.
            EndpointError: the name is taken, or there are as many as there may be.
            EntitlementError: there are as many as the tenant's plan has.
        """
        draft = checked(draft, may_call_private=self.may_call_private, has_mail=self.has_mail)
        if await repository.endpoint_named(session, tenant_id, draft.name) is not None:
            raise EndpointError("name_taken", f"There is an endpoint {draft.name!r} already.")
        count = await repository.endpoint_count(session, tenant_id)
        await gates.demand_room(session, tenant_id, "webhook_endpoints_max", count, now_ms=self._clock.utc_ms())
        if count >= ENDPOINTS_MAX:
            raise EndpointError("too_many", f"There are {ENDPOINTS_MAX} endpoints, and there may be no more.")
        made = _new_secret() if SERVICES[draft.template].secret == "ours" else ""  # noqa: S105 - a kind of secret
        row = self._fresh(tenant_id, draft.name)
        row.template, row.may_call_private = draft.template, self.may_call_private
        _write(row, draft)
        self._seal(row, Private(draft.url, made or draft.secret))
        row.is_enabled, row.disabled_reason = draft.is_enabled, "" if draft.is_enabled else BY_HAND
        session.add(row)
        self._audit(session, row, actor, "webhook_endpoint_added", after=_audited(row))
        return row, made

    async def change(
        self, session: AsyncSession, tenant_id: TenantId, endpoint_id: UUID, actor: Actor, changes: Mapping[str, Any]
    ) -> EndpointRow:
        """Change fields of a `Draft`; those of the event filter by their own names. Empty secrets change nothing.

        Raises:
            NotFoundError: the tenant has no such endpoint.
            InvalidFieldError: a field cannot be used.
            EndpointError: it is one of the settings, or the name is taken.
        """
        row = await self.row(session, tenant_id, endpoint_id)
        private, before = self._private(row), _audited(row)
        kept = draft_of(row, private)
        draft = _changed(kept, changes)
        is_elsewhere = (draft.name, draft.url, draft.secret, draft.recipients) != (
            kept.name,
            kept.url,
            kept.secret,
            kept.recipients,
        )
        if row.is_from_settings and is_elsewhere:
            raise EndpointError("from_settings", "This endpoint stands in the cloud's settings: change it there.")
        if not row.is_from_settings:
            draft = checked(draft, may_call_private=self.may_call_private, has_mail=self.has_mail)
            row.may_call_private = self.may_call_private
        namesake = await repository.endpoint_named(session, tenant_id, draft.name)
        if namesake is not None and namesake.endpoint_id != endpoint_id:
            raise EndpointError("name_taken", f"There is an endpoint {draft.name!r} already.")
        _write(row, draft)
        if is_elsewhere:
            secret = draft.secret or private.secret
            self._seal(row, replace(private, url=draft.url, secret=secret))
            row.failures, row.openings, row.probe_at_ms, row.resume_at_ms = 0, 0, None, None
        after = {**_audited(row), **({"secret": STARS} if draft.secret != kept.secret else {})}
        changed = {name for name, value in after.items() if before.get(name) != value}
        if changed:
            self._audit(
                session,
                row,
                actor,
                "webhook_endpoint_changed",
                before={name: before[name] for name in changed if name in before},
                after={name: after[name] for name in changed},
            )
        await self._switch(session, row, actor, is_enabled=draft.is_enabled)
        return row

    async def rotate(
        self, session: AsyncSession, tenant_id: TenantId, endpoint_id: UUID, actor: Actor, *, grace_h: int
    ) -> tuple[EndpointRow, str]:
        """A new secret, told here and never again; the old one signs as well for `grace_h` hours.

        Raises:
            NotFoundError: the tenant has no such endpoint.
            EndpointError: its secret is not ours, or stands in the settings.
        """
        row = await self.row(session, tenant_id, endpoint_id)
        self._check_is_ours(row)
        if SERVICES[template_of(row)].secret != "ours":  # noqa: S105 - a kind of secret
            raise EndpointError("no_secret", "Calls of this template are not signed with a secret of ours.")
        private, fresh = self._private(row), _new_secret()
        row.old_secret_until_ms = self._clock.utc_ms() + grace_h * HOUR_MS if grace_h and private.secret else None
        old = private.secret if row.old_secret_until_ms is not None else ""
        self._seal(row, Private(private.url, fresh, old))
        self._audit(session, row, actor, "webhook_secret_rotated", after={"grace_h": grace_h})
        return row, fresh

    async def remove(self, session: AsyncSession, tenant_id: TenantId, endpoint_id: UUID, actor: Actor) -> None:
        """Call it no more and forget its secrets; its deliveries stay in the log until they are old.

        Raises:
            NotFoundError: the tenant has no such endpoint.
            EndpointError: it stands in the settings.
        """
        row = await self.row(session, tenant_id, endpoint_id)
        self._check_is_ours(row)
        row.removed_ms, row.is_enabled = self._clock.utc_ms(), False
        row.disabled_reason = "removed"
        self._seal(row, Private())
        await session.flush()
        await repository.fail_pending(session, row.endpoint_id, "the endpoint was removed")
        self._audit(session, row, actor, "webhook_endpoint_removed", before=_audited(row))

    async def sync_settings(self, session: AsyncSession, endpoints: Sequence[ConfiguredEndpoint]) -> None:
        """Bring the table in line with the settings; calls owed to an endpoint that is no longer there are given up."""
        known = {row.name: row for row in await repository.configured(session)}
        for endpoint in endpoints:
            row = known.pop(endpoint.name, None)
            namesake = await repository.endpoint_named(session, DEFAULT_TENANT, endpoint.name)
            if namesake is not None and not namesake.is_from_settings:
                log.error("webhook_endpoint_name_taken", endpoint=endpoint.name, remedy="rename it in the settings")
                continue
            await self._sync(session, row, endpoint)
        for row in known.values():
            if row.removed_ms is None:
                self._audit(session, row, SYSTEM, "webhook_endpoint_removed", before={"url": row.url_shown})
                row.removed_ms = self._clock.utc_ms()
                await session.flush()
                await repository.fail_pending(session, row.endpoint_id, NOT_IN_SETTINGS)

    async def _sync(self, session: AsyncSession, row: EndpointRow | None, endpoint: ConfiguredEndpoint) -> None:
        private = Private(endpoint.url, endpoint.secret)
        url_shown = shown_url(endpoint.url, is_secret=False)
        if row is None:
            row = self._fresh(DEFAULT_TENANT, endpoint.name)
            row.is_from_settings = True
            row.url_shown = url_shown
            session.add(row)
            self._audit(session, row, SYSTEM, "webhook_endpoint_added", after={"url": url_shown})
        elif row.removed_ms is not None:
            row.removed_ms, row.created_ms, row.is_enabled = None, self._clock.utc_ms(), True
            self._audit(session, row, SYSTEM, "webhook_endpoint_changed", after={"url": url_shown})
        elif self._private(row).url not in ("", endpoint.url):
            before = {"url": row.url_shown}
            self._audit(session, row, SYSTEM, "webhook_endpoint_changed", before=before, after={"url": url_shown})
            row.is_enabled, row.disabled_reason = True, ""
            row.failures, row.openings, row.probe_at_ms, row.resume_at_ms = 0, 0, None, None
        row.may_call_private, row.url_shown = endpoint.allow_private_addresses, url_shown
        if self._private(row) != private:
            row.sealed = self._sealer.seal(private)

    async def _switch(self, session: AsyncSession, row: EndpointRow, actor: Actor, *, is_enabled: bool) -> None:
        if row.is_enabled and not is_enabled:
            await self._webhooks.disable(session, row, actor, BY_HAND)
        if not row.is_enabled and is_enabled:
            row.is_enabled, row.disabled_reason = True, ""
            row.failures, row.openings, row.probe_at_ms, row.resume_at_ms = 0, 0, None, None
            change = {"before": {"is_enabled": False}, "after": {"is_enabled": True}}
            self._audit(session, row, actor, "webhook_endpoint_enabled", **change)

    def _check_is_ours(self, row: EndpointRow) -> None:
        if row.is_from_settings:
            raise EndpointError("from_settings", "This endpoint stands in the cloud's settings: change it there.")

    def _fresh(self, tenant_id: TenantId, name: str) -> EndpointRow:
        now_ms = self._clock.utc_ms()
        draft = Draft(name, "json")
        row = EndpointRow(
            endpoint_id=uuid7(now_ms),
            tenant_id=tenant_id,
            template="json",
            sealed=self._sealer.seal(Private()),
            url_shown="",
            old_secret_until_ms=None,
            may_call_private=False,
            is_from_settings=False,
            is_enabled=True,
            disabled_reason="",
            created_ms=now_ms,
            removed_ms=None,
            failures=0,
            openings=0,
            probe_at_ms=None,
            resume_at_ms=None,
            last_success_ms=None,
            last_failure_ms=None,
            last_error="",
        )
        _write(row, draft)
        return row

    def _private(self, row: EndpointRow) -> Private:
        """What is sealed; nothing where the key is another one: then it must be told anew."""
        try:
            return self._sealer.open(row.sealed)
        except SealError:
            return Private()

    def _seal(self, row: EndpointRow, private: Private) -> None:
        row.sealed = self._sealer.seal(private)
        is_secret = SERVICES[template_of(row)].is_url_secret
        row.url_shown = shown_url(private.url, is_secret=is_secret) if private.url else ""

    def _audit(
        self,
        session: AsyncSession,
        row: EndpointRow,
        actor: Actor,
        action: str,
        *,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        audit.record(
            session,
            row.tenant_id,
            actor,
            action,
            f"webhook_endpoint:{row.name}",
            now_ms=self._clock.utc_ms(),
            before=before,
            after=after,
        )
        announce(session, self._live.deliveries)


def draft_of(row: EndpointRow, private: Private) -> Draft:
    """An endpoint as it would be made again; without the secret where it is ours."""
    is_theirs = SERVICES[template_of(row)].secret in ("theirs", "theirs_needed")
    return Draft(
        name=row.name,
        template=template_of(row),
        url=private.url,
        secret=private.secret if is_theirs else "",
        recipients=tuple(row.recipients),
        language=language_of(row),
        time_zone=row.time_zone,
        events=filter_of(row),
        is_enabled=row.is_enabled,
    )


FILTER_FIELDS: Final = frozenset({"kinds", "priority_min", "plants", "presses", "modes"})


def _changed(draft: Draft, changes: Mapping[str, Any]) -> Draft:
    events = replace(draft.events, **{name: value for name, value in changes.items() if name in FILTER_FIELDS})
    own = {name: value for name, value in changes.items() if name not in FILTER_FIELDS}
    if not own.get("secret"):
        own.pop("secret", None)
    return replace(draft, events=events, **own)


def _write(row: EndpointRow, draft: Draft) -> None:
    row.name, row.language, row.time_zone = draft.name, draft.language, draft.time_zone
    row.recipients = list(draft.recipients)
    row.kinds, row.priority_min = list(draft.events.kinds), draft.events.priority_min
    row.plants, row.presses, row.modes = list(draft.events.plants), list(draft.events.presses), list(draft.events.modes)


def _audited(row: EndpointRow) -> dict[str, Any]:
    """What the audit log tells of an endpoint: never its secrets, nor an address that is one."""
    return {
        "name": row.name,
        "template": row.template,
        "url": row.url_shown,
        "recipients": list(row.recipients),
        "language": row.language,
        "time_zone": row.time_zone,
        "kinds": list(row.kinds),
        "priority_min": row.priority_min,
        "plants": list(row.plants),
        "presses": list(row.presses),
        "modes": list(row.modes),
    }


def _new_secret() -> str:
    return "whsec_" + base64.b64encode(randomness.token_bytes(SECRET_BYTES)).decode()
