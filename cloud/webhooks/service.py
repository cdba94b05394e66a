"""Puts a delivery into the outbox for each event and endpoint, and keeps what became of it."""

import random
from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core import audit
from cloud.core.audit import Actor
from cloud.core.database import announce
from cloud.core.events import Event, Subscriber
from cloud.core.live import Live
from cloud.core.paging import Slice, slice_of
from cloud.core.problems import NotFoundError
from cloud.core.tenants import TenantId
from cloud.fleet.reading import names_of_plants
from cloud.webhooks import circuit, repository
from cloud.webhooks.answers import verdict_of
from cloud.webhooks.domain import (
    ANSWER_BYTES_MAX,
    FIRST_RETRY_S,
    GIVE_UP_AFTER_MS,
    REQUEST_CHARACTERS_MAX,
    STATES,
    TEST_KIND,
    Attempt,
    Delivery,
    DisabledReason,
    EndpointError,
    State,
    Template,
    body_of,
    next_attempt_ms,
)
from cloud.webhooks.filters import (
    ALL_ALARMS,
    ALL_ENTITLEMENTS,
    ALL_MAINTENANCE,
    ALL_PROVIDER,
    ALL_SERVING,
    ALL_TIERING,
    told_to,
)
from cloud.webhooks.message import incident_of, plant_of
from cloud.webhooks.tables import AttemptRow, DeliveryRow, EndpointRow
from cloud.webhooks.views import circuit_of, filter_of, template_of
from kit.clock import Clock
from kit.ids import uuid7

KEPT_MS = 30 * 24 * 3600 * 1000
REPLAYED_AT_ONCE_MAX = 1_000
SUBSCRIBER = "webhooks"
KINDS = frozenset({ALL_ALARMS, ALL_MAINTENANCE, ALL_SERVING, ALL_TIERING, ALL_ENTITLEMENTS, ALL_PROVIDER})
EXPIRED = "not delivered within 24 h"
GIVEN_UP: Mapping[DisabledReason, str] = {
    "gone": "the endpoint was disabled: it had answered 410 Gone",
    "by_hand": "the endpoint was disabled by hand",
    "removed": "the endpoint was removed",
}


class WebhookService:
    """The outbox; every method works in the caller's transaction."""

    def __init__(
        self, live: Live, clock: Clock, randomness: random.Random, *, first_retry_s: float = FIRST_RETRY_S
    ) -> None:
        self._live = live
        self._clock = clock
        self._randomness = randomness
        self._first_retry_s = first_retry_s

    def subscriber(self) -> Subscriber:
        """What the dispatcher brings events to, also of kinds that came after this was written."""
        return Subscriber(SUBSCRIBER, KINDS, self.owe)

    async def owe(self, session: AsyncSession, events: Sequence[Event]) -> None:
        """Put a delivery into the outbox for each event and each endpoint that wants it and was there by then."""
        endpoints = await repository.told(session, {event.tenant_id for event in events})
        filters = {row.endpoint_id: filter_of(row) for row in endpoints}
        owed = await repository.owed_for(session, [event.event_id for event in events])
        now_ms = self._clock.utc_ms()
        names = await names_of_plants(session, sorted({plant_of(event.payload) for event in events} - {""}))
        for event in events:
            for row in endpoints:
                is_theirs = row.tenant_id == event.tenant_id and row.created_ms <= event.created_ms
                is_new = is_theirs and (row.endpoint_id, event.event_id) not in owed
                if is_new and filters[row.endpoint_id].lets_through(event.kind, event.payload):
                    name = names.get(plant_of(event.payload), "")
                    session.add(_owed(event, row.endpoint_id, now_ms, plant_name=name))
                    announce(session, self._live.deliveries)

    def add_test(self, session: AsyncSession, endpoint: EndpointRow) -> DeliveryRow:
        """A delivery that somebody makes by hand; it is not in the outbox's turn."""
        now_ms = self._clock.utc_ms()
        row = _row(endpoint.tenant_id, endpoint.endpoint_id, TEST_KIND, body_of(TEST_KIND, now_ms, {}), now_ms)
        row.state, row.next_attempt_ms = "failed", None
        session.add(row)
        return row

    async def record_attempt(self, session: AsyncSession, delivery_id: UUID, attempt: Attempt) -> None:
        """Keep what one try came to, in the delivery, in the log and at the endpoint, and decide on the next."""
        row = await repository.delivery(session, delivery_id)
        endpoint = await repository.endpoint_of(session, row.endpoint_id) if row is not None else None
        if row is None or endpoint is None or row.state == "delivered":
            return
        now_ms, answer = self._clock.utc_ms(), attempt.answer
        verdict = verdict_of(answer, template_of(endpoint), now_ms)
        row.attempts += 1
        row.last_attempt_ms, row.last_status = now_ms, answer.status
        row.last_answer, row.last_error = answer.body[:ANSWER_BYTES_MAX], verdict.error
        session.add(_attempt_row(delivery_id, attempt, verdict.outcome, verdict.error))
        await session.flush()
        await repository.cut_log(session, delivery_id)
        announce(session, self._live.deliveries)
        if verdict.outcome == "delivered":
            row.state, row.delivered_ms, row.next_attempt_ms = "delivered", now_ms, None
            await self._answers_again(session, endpoint, now_ms)
            return
        endpoint.last_failure_ms, endpoint.last_error = now_ms, verdict.error or f"HTTP {answer.status}"
        if verdict.outcome == "gone":
            row.state, row.next_attempt_ms = "failed", None
            await self.disable(session, endpoint, audit.SYSTEM, "gone")
            return
        if row.state != "pending":  # a test, or one that was given up meanwhile
            return
        if verdict.outcome == "limited":
            endpoint.resume_at_ms = now_ms + round(verdict.pause_s * 1000)
        elif verdict.outcome == "retry":
            after = circuit.after_failure(circuit_of(endpoint), now_ms, self._randomness.random())
            endpoint.failures, endpoint.openings, endpoint.probe_at_ms = (
                after.failures,
                after.openings,
                after.probe_at_ms,
            )
        self._put_back(row, now_ms, not_before_ms=endpoint.resume_at_ms or 0)

    def _put_back(self, row: DeliveryRow, now_ms: int, *, not_before_ms: int) -> None:
        at_ms = next_attempt_ms(
            row.attempts, row.give_up_ms, now_ms, first_retry_s=self._first_retry_s, chance=self._randomness.random()
        )
        if at_ms is None:
            row.state, row.next_attempt_ms = "failed", None
            return
        row.next_attempt_ms = max(at_ms, not_before_ms)

    async def _answers_again(self, session: AsyncSession, endpoint: EndpointRow, now_ms: int) -> None:
        endpoint.last_success_ms, endpoint.resume_at_ms = now_ms, None
        if endpoint.probe_at_ms is not None:
            await session.flush()
            await repository.hasten(session, endpoint.endpoint_id, now_ms)
        endpoint.failures, endpoint.openings, endpoint.probe_at_ms = 0, 0, None

    async def disable(self, session: AsyncSession, endpoint: EndpointRow, actor: Actor, reason: DisabledReason) -> None:
        """Call an endpoint no more; what is owed to it becomes dead letters."""
        if not endpoint.is_enabled:
            return
        endpoint.is_enabled, endpoint.disabled_reason = False, reason
        await session.flush()
        await repository.fail_pending(session, endpoint.endpoint_id, GIVEN_UP[reason])
        audit.record(
            session,
            endpoint.tenant_id,
            actor,
            "webhook_endpoint_disabled",
            f"webhook_endpoint:{endpoint.name}",
            now_ms=self._clock.utc_ms(),
            before={"is_enabled": True},
            after={"is_enabled": False, "reason": reason},
        )
        announce(session, self._live.deliveries)

    async def replay(self, session: AsyncSession, tenant_id: TenantId, delivery_id: UUID, actor: Actor) -> Delivery:
        """Owe a dead letter once more, with the same webhook-id.

        Raises:
            NotFoundError: the tenant has no such delivery.
            EndpointError: it is no dead letter, or its endpoint is not called.
        """
        row = await repository.delivery(session, delivery_id)
        if row is None or row.tenant_id != tenant_id:
            raise NotFoundError("delivery", str(delivery_id))
        if row.state != "failed" or row.event_id is None:
            raise EndpointError("no_dead_letter", "This delivery is no dead letter.")
        endpoint = await repository.endpoint_of(session, row.endpoint_id)
        assert endpoint is not None, "a delivery has an endpoint"
        self._replay(session, endpoint, [row], actor, f"delivery:{delivery_id}")
        return _delivery(row, endpoint)

    async def replay_all(self, session: AsyncSession, endpoint: EndpointRow, actor: Actor) -> int:
        """Owe the dead letters of an endpoint once more, at most REPLAYED_AT_ONCE_MAX; how many.

        Raises:
            EndpointError: the endpoint is not called.
        """
        rows = await repository.dead_letters(session, endpoint.endpoint_id, REPLAYED_AT_ONCE_MAX)
        self._replay(session, endpoint, rows, actor, f"webhook_endpoint:{endpoint.name}")
        return len(rows)

    def _replay(
        self, session: AsyncSession, endpoint: EndpointRow, rows: Sequence[DeliveryRow], actor: Actor, target: str
    ) -> None:
        if not endpoint.is_enabled or endpoint.removed_ms is not None:
            raise EndpointError("disabled", f"The endpoint {endpoint.name} is not called: enable it first.")
        if not rows:
            return
        now_ms = self._clock.utc_ms()
        for row in rows:
            row.state, row.attempts = "pending", 0
            row.next_attempt_ms, row.give_up_ms = now_ms, now_ms + GIVE_UP_AFTER_MS
        audit.record(
            session,
            endpoint.tenant_id,
            actor,
            "dead_letters_replayed",
            target,
            now_ms=now_ms,
            after={"endpoint": endpoint.name, "count": len(rows)},
        )
        announce(session, self._live.deliveries)

    async def expire(self, session: AsyncSession) -> int:
        """Make dead letters of what was not delivered in time; how many."""
        expired = await repository.expire(session, self._clock.utc_ms(), EXPIRED)
        if expired:
            announce(session, self._live.deliveries)
        return expired

    async def prune(self, session: AsyncSession) -> None:
        """Forget deliveries that are done with and older than KEPT_MS, with their log."""
        await repository.prune(session, self._clock.utc_ms() - KEPT_MS)


async def deliveries(
    session: AsyncSession,
    tenant_id: TenantId,
    *,
    state: State | None = None,
    endpoint: str | None = None,
    endpoint_id: UUID | None = None,
    kind: str | None = None,
    before: UUID | None = None,
    limit: int,
) -> Slice[Delivery]:
    """Deliveries, newest first; `before` is the last one of the page before."""
    rows = await repository.deliveries(
        session,
        tenant_id,
        state=state,
        endpoint=endpoint,
        endpoint_id=endpoint_id,
        kind=kind,
        before=before,
        limit=limit + 1,
    )
    return slice_of([_delivery(row, owner) for row, owner in rows], limit)


async def delivery_with_attempts(
    session: AsyncSession, tenant_id: TenantId, delivery_id: UUID
) -> tuple[Delivery, Sequence[AttemptRow]]:
    """One delivery and the tries that the log keeps of it, newest first.

    Raises:
        NotFoundError: the tenant has no such delivery.
    """
    row = await repository.delivery(session, delivery_id)
    endpoint = await repository.endpoint_of(session, row.endpoint_id) if row is not None else None
    if row is None or endpoint is None or row.tenant_id != tenant_id:
        raise NotFoundError("delivery", str(delivery_id))
    return _delivery(row, endpoint), await repository.attempts(session, delivery_id)


def _owed(event: Event, endpoint_id: UUID, now_ms: int, *, plant_name: str) -> DeliveryRow:
    told = told_to(event.tenant_id, event.kind, event.payload)
    data = {**told, "plant_name": plant_name} if plant_name else told
    body = body_of(event.kind, event.created_ms, data)
    row = _row(event.tenant_id, endpoint_id, event.kind, body, now_ms)
    row.event_id = event.event_id
    row.order_key = incident_of(event.kind, event.payload) or row.order_key
    return row


def _row(tenant_id: str, endpoint_id: UUID, kind: str, body: str, now_ms: int) -> DeliveryRow:
    delivery_id = uuid7(now_ms)
    return DeliveryRow(
        delivery_id=delivery_id,
        tenant_id=tenant_id,
        endpoint_id=endpoint_id,
        event_id=None,
        order_key=str(delivery_id),
        kind=kind,
        body=body,
        state="pending",
        attempts=0,
        created_ms=now_ms,
        give_up_ms=now_ms + GIVE_UP_AFTER_MS,
        next_attempt_ms=now_ms,
        delivered_ms=None,
        last_attempt_ms=None,
        last_status=None,
        last_answer="",
        last_error="",
    )


def _attempt_row(delivery_id: UUID, attempt: Attempt, outcome: str, error: str) -> AttemptRow:
    return AttemptRow(
        delivery_id=delivery_id,
        started_ms=attempt.started_ms,
        duration_ms=attempt.duration_ms,
        outcome=outcome,
        url=attempt.url,
        request_headers=dict(attempt.request_headers),
        request_body=attempt.request_body[:REQUEST_CHARACTERS_MAX],
        status=attempt.answer.status,
        answer_headers=dict(attempt.answer.headers),
        answer=attempt.answer.body[:ANSWER_BYTES_MAX],
        error=error,
    )


def _delivery(row: DeliveryRow, endpoint: EndpointRow) -> Delivery:
    template: Template = template_of(endpoint)
    return Delivery(
        delivery_id=row.delivery_id,
        endpoint_id=row.endpoint_id,
        endpoint=endpoint.name,
        template=template,
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
