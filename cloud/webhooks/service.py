"""Puts a delivery into the outbox for each event and endpoint, and keeps what became of it."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.alarms.service import ALARM_EVENTS
from cloud.core import audit
from cloud.core.database import announce
from cloud.core.events import Event, Subscriber
from cloud.core.live import Live
from cloud.core.paging import Slice, slice_of
from cloud.core.tenants import DEFAULT_TENANT, TenantId
from cloud.webhooks import repository
from cloud.webhooks.domain import (
    ANSWER_BYTES_MAX,
    FIRST_RETRY_S,
    STATES,
    Answer,
    Delivery,
    State,
    body_of,
    next_attempt_ms,
    outcome_of,
)
from cloud.webhooks.tables import DeliveryRow, EndpointRow
from kit.clock import Clock
from kit.ids import uuid7

KEPT_MS = 30 * 24 * 3600 * 1000
SUBSCRIBER = "webhooks"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A receiver of calls; the secret stays out of every representation."""

    name: str
    url: str
    secret: str = field(repr=False)
    allow_private_addresses: bool = False


class WebhookService:
    """The outbox; every method works in the caller's transaction."""

    def __init__(
        self, live: Live, clock: Clock, randomness: random.Random, *, first_retry_s: float = FIRST_RETRY_S
    ) -> None:
        self._live = live
        self._clock = clock
        self._randomness = randomness
        self._first_retry_s = first_retry_s

    async def sync_endpoints(self, session: AsyncSession, endpoints: Sequence[Endpoint]) -> None:
        """Bring the table in line with the settings; calls owed to an endpoint that is no longer there are given up."""
        known = {row.name: row for row in await repository.endpoints(session)}
        for endpoint in endpoints:
            row = known.pop(endpoint.name, None)
            if row is None:
                session.add(
                    EndpointRow(
                        name=endpoint.name,
                        tenant_id=DEFAULT_TENANT,
                        url=endpoint.url,
                        is_configured=True,
                        is_gone=False,
                        created_ms=self._clock.utc_ms(),
                    )
                )
                self._audit(session, "webhook_endpoint_added", endpoint.name, after=endpoint.url)
                continue
            if row.url != endpoint.url or not row.is_configured:
                before = row.url if row.is_configured else None
                self._audit(session, "webhook_endpoint_changed", row.name, before=before, after=endpoint.url)
            row.is_gone = row.is_gone and row.url == endpoint.url
            row.url, row.is_configured = endpoint.url, True
        for row in known.values():
            if row.is_configured:
                self._audit(session, "webhook_endpoint_removed", row.name, before=row.url)
            row.is_configured = False
            await repository.fail_pending(session, row.name, "the endpoint is no longer in the settings")

    def _audit(
        self, session: AsyncSession, action: str, name: str, *, before: str | None = None, after: str | None = None
    ) -> None:
        """A line about an endpoint's address; what follows its path is left out, it may be a secret of the receiver."""
        audit.record(
            session,
            DEFAULT_TENANT,
            audit.SYSTEM,
            action,
            f"webhook_endpoint:{name}",
            now_ms=self._clock.utc_ms(),
            before=None if before is None else {"url": before.partition("?")[0]},
            after=None if after is None else {"url": after.partition("?")[0]},
        )

    def subscriber(self) -> Subscriber:
        """What the dispatcher brings the events of alarms to."""
        return Subscriber(SUBSCRIBER, ALARM_EVENTS, self.owe)

    async def owe(self, session: AsyncSession, events: Sequence[Event]) -> None:
        """Put a delivery into the outbox for each event and each endpoint of its tenant that was there by then."""
        endpoints = [row for row in await repository.endpoints(session) if row.is_configured and not row.is_gone]
        owed = await repository.owed_for(session, [event.event_id for event in events])
        now_ms = self._clock.utc_ms()
        for event in events:
            for endpoint in endpoints:
                is_due = endpoint.tenant_id == event.tenant_id and endpoint.created_ms <= event.created_ms
                if is_due and (endpoint.name, event.event_id) not in owed:
                    session.add(_delivery_row(event, endpoint.name, now_ms))
                    announce(session, self._live.deliveries)

    async def record_answer(self, session: AsyncSession, delivery_id: UUID, answer: Answer) -> None:
        """Keep what one try came to, and decide on the next."""
        row = await repository.delivery(session, delivery_id)
        if row is None or row.state != "pending":
            return
        now_ms = self._clock.utc_ms()
        row.attempts += 1
        row.last_attempt_ms, row.last_status = now_ms, answer.status
        row.last_answer, row.last_error = answer.body[:ANSWER_BYTES_MAX], answer.error
        row.next_attempt_ms = None
        outcome = outcome_of(answer)
        if outcome == "delivered":
            row.state, row.delivered_ms = "delivered", now_ms
        elif outcome == "gone":
            row.state = "failed"
            await self._endpoint_gone(session, row.endpoint)
        else:
            row.next_attempt_ms = next_attempt_ms(
                row.attempts,
                row.created_ms,
                now_ms,
                first_retry_s=self._first_retry_s,
                chance=self._randomness.random(),
            )
            row.state = "pending" if row.next_attempt_ms is not None else "failed"
        announce(session, self._live.deliveries)

    async def _endpoint_gone(self, session: AsyncSession, name: str) -> None:
        for endpoint in await repository.endpoints(session):
            if endpoint.name == name:
                endpoint.is_gone = True
        await session.flush()
        await repository.fail_pending(session, name, "the endpoint answered 410 Gone to another call")

    async def prune(self, session: AsyncSession) -> None:
        """Forget deliveries that are done with and older than KEPT_MS."""
        await repository.prune(session, self._clock.utc_ms() - KEPT_MS)


async def deliveries(
    session: AsyncSession,
    tenant_id: TenantId,
    *,
    state: State | None = None,
    endpoint: str | None = None,
    kind: str | None = None,
    before: UUID | None = None,
    limit: int,
) -> Slice[Delivery]:
    """Deliveries, newest first; `before` is the last one of the page before."""
    rows = await repository.deliveries(
        session, tenant_id, state=state, endpoint=endpoint, kind=kind, before=before, limit=limit + 1
    )
    return slice_of([_delivery(row) for row in rows], limit)


def _delivery_row(event: Event, endpoint: str, now_ms: int) -> DeliveryRow:
    return DeliveryRow(
        delivery_id=uuid7(now_ms),
        tenant_id=event.tenant_id,
        endpoint=endpoint,
        event_id=event.event_id,
        kind=event.kind,
        body=body_of(event.kind, event.created_ms, event.payload),
        state="pending",
        attempts=0,
        created_ms=now_ms,
        next_attempt_ms=now_ms,
        delivered_ms=None,
        last_attempt_ms=None,
        last_status=None,
        last_answer="",
        last_error="",
    )


def _delivery(row: DeliveryRow) -> Delivery:
    return Delivery(
        delivery_id=row.delivery_id,
        endpoint=row.endpoint,
        event_id=row.event_id,
        kind=row.kind,
        state=next(state for state in STATES if state == row.state),
        attempts=row.attempts,
        created_ms=row.created_ms,
        next_attempt_ms=row.next_attempt_ms,
        delivered_ms=row.delivered_ms,
        last_attempt_ms=row.last_attempt_ms,
        last_status=row.last_status,
        last_answer=row.last_answer,
        last_error=row.last_error,
    )
