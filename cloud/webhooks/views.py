"""An endpoint's row as the values that rules and readers work with."""

from dataclasses import dataclass
from uuid import UUID

from cloud.webhooks.circuit import Circuit
from cloud.webhooks.domain import LANGUAGES, TEMPLATES, Health, Language, Target, Template
from cloud.webhooks.filters import PRIORITIES, EventFilter, Priority
from cloud.webhooks.sealing import Sealer
from cloud.webhooks.tables import EndpointRow


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint as people and programs may see it: without secrets, its address cut short."""

    endpoint_id: UUID
    name: str
    template: Template
    url: str
    recipients: tuple[str, ...]
    language: Language
    time_zone: str
    kinds: tuple[str, ...]
    priority_min: Priority | None
    plants: tuple[str, ...]
    presses: tuple[str, ...]
    modes: tuple[str, ...]
    is_from_settings: bool
    is_enabled: bool
    disabled_reason: str
    health: Health
    old_secret_until_ms: int | None
    created_ms: int
    next_probe_ms: int | None
    resume_at_ms: int | None
    last_success_ms: int | None
    last_failure_ms: int | None
    last_error: str
    pending: int
    dead_letters: int


def endpoint_of(row: EndpointRow, counts: dict[str, int], now_ms: int) -> Endpoint:
    """The value of a row; `counts` are its deliveries by state."""
    pending = counts.get("pending", 0)
    old_until_ms = row.old_secret_until_ms
    return Endpoint(
        endpoint_id=row.endpoint_id,
        name=row.name,
        template=template_of(row),
        url=row.url_shown,
        recipients=tuple(row.recipients),
        language=language_of(row),
        time_zone=row.time_zone,
        kinds=tuple(row.kinds),
        priority_min=priority_of(row.priority_min),
        plants=tuple(row.plants),
        presses=tuple(row.presses),
        modes=tuple(row.modes),
        is_from_settings=row.is_from_settings,
        is_enabled=row.is_enabled,
        disabled_reason=row.disabled_reason,
        health=health_of(row, pending, now_ms),
        old_secret_until_ms=old_until_ms if old_until_ms is not None and old_until_ms > now_ms else None,
        created_ms=row.created_ms,
        next_probe_ms=row.probe_at_ms,
        resume_at_ms=row.resume_at_ms if row.resume_at_ms is not None and row.resume_at_ms > now_ms else None,
        last_success_ms=row.last_success_ms,
        last_failure_ms=row.last_failure_ms,
        last_error=row.last_error,
        pending=pending,
        dead_letters=counts.get("failed", 0),
    )


def health_of(row: EndpointRow, pending: int, now_ms: int) -> Health:
    """How an endpoint does, in a word: `retrying` while something is owed and its last call failed."""
    if not row.is_enabled:
        return "disabled"
    if circuit_of(row).state(now_ms) != "closed":
        return "circuit_open"
    has_failed_last = (row.last_failure_ms or 0) > (row.last_success_ms or 0)
    return "retrying" if pending and has_failed_last else "healthy"


def target_of(row: EndpointRow, sealer: Sealer, now_ms: int) -> Target:
    """What it takes to call an endpoint.

    Raises:
        SealError: its secrets were sealed with another key.
    """
    private = sealer.open(row.sealed)
    is_old_valid = bool(private.old_secret) and (row.old_secret_until_ms or 0) > now_ms
    secrets = (private.secret, private.old_secret) if is_old_valid else (private.secret,)
    return Target(
        endpoint_id=row.endpoint_id,
        template=template_of(row),
        url=private.url,
        secrets=tuple(secret for secret in secrets if secret),
        recipients=tuple(row.recipients),
        language=language_of(row),
        time_zone=row.time_zone,
        may_call_private=row.may_call_private,
    )


def filter_of(row: EndpointRow) -> EventFilter:
    """Which events it is told."""
    return EventFilter(
        kinds=tuple(row.kinds),
        priority_min=priority_of(row.priority_min),
        plants=tuple(row.plants),
        presses=tuple(row.presses),
        modes=tuple(row.modes),
    )


def circuit_of(row: EndpointRow) -> Circuit:
    """Its circuit breaker."""
    return Circuit(row.failures, row.openings, row.probe_at_ms)


def template_of(row: EndpointRow) -> Template:
    """Its template."""
    return next(template for template in TEMPLATES if template == row.template)


def language_of(row: EndpointRow) -> Language:
    """The language of its texts."""
    return next(language for language in LANGUAGES if language == row.language)


def priority_of(text: str | None) -> Priority | None:
    """A priority by its name."""
    return next((priority for priority in PRIORITIES if priority == text), None)
