"""`zhisan edge check`: what is wrong, in words, before anything runs."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

import anyio
from anyio import to_thread
from asyncua import ua

from edge_agent.app import JOURNAL_FOLDER
from edge_agent.journal.journal import JournalError
from edge_agent.journal.segment_journal import SegmentJournal
from edge_agent.models import parts as model_parts
from edge_agent.settings import EdgeSettings, OpcUaSource
from edge_agent.sources.opcua.certificates import CertificateError, validity_problem
from edge_agent.sources.opcua.discovery import DiscoveryError, discover
from edge_agent.sources.opcua.press import make_client
from kit.clock import Clock
from kit.mqtt import Connected, Disconnected, PahoLink, client_id
from models.runtime.bundle import BundleError
from models.runtime.keys import KeyFileError

BROKER_TIMEOUT_S = 5.0
PRESS_TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; only an `error` keeps the gateway from working."""

    level: Literal["ok", "warning", "error"]
    subject: str
    text: str


async def findings(settings: EdgeSettings, clock: Clock) -> AsyncIterator[Finding]:
    """Look at everything that the settings name: folder, bundle, broker, certificates, presses."""
    yield await to_thread.run_sync(_journal, settings)
    yield await to_thread.run_sync(_bundle, settings)
    yield await _broker(settings)
    if not settings.sources.opcua:
        yield Finding("warning", "sources", "no press is configured; only replayed files will be sent")
    for source in settings.sources.opcua:
        for finding in _certificates(source, clock):
            yield finding
        yield await _press(source)


def _journal(settings: EdgeSettings) -> Finding:
    path = settings.gateway.state_dir / JOURNAL_FOLDER
    if not path.exists():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            probe = path.with_suffix(".probe")
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            return Finding("error", "gateway.state_dir", f"{path.parent} cannot be written: {error.strerror}")
        return Finding("ok", "gateway.state_dir", f"{path.parent} can be written; the journal will be made there")
    try:
        journal = SegmentJournal(
            path,
            size_bytes_max=settings.journal.size_mb_max * 2**20,
            new_epoch=UUID(int=0),
            make_gap=lambda _record, _reason: b"",
            mark_curves=lambda _record, _reason: b"",
        )
    except JournalError as error:
        return Finding("error", "gateway.state_dir", str(error))
    counts = journal.counts()
    journal.close()
    if counts.damage_reports:
        return Finding("warning", "gateway.state_dir", f"journal: {'; '.join(counts.damage_reports)}")
    return Finding("ok", "gateway.state_dir", f"journal is sound and holds {counts.records} records")


def _bundle(settings: EdgeSettings) -> Finding:
    if settings.models.bundle is None:
        return Finding("warning", "models.bundle", "no bundle is configured; shots will be sent unscored")
    try:
        bundle = model_parts.own_bundle(settings)
    except (BundleError, KeyFileError) as error:
        return Finding("error", "models.bundle", str(error))
    assert bundle is not None
    return Finding("ok", "models.bundle", f"bundle {bundle.bundle_id} is whole and fits this version's features")


async def _broker(settings: EdgeSettings) -> Finding:
    where = f"{settings.broker.host}:{settings.broker.port}"
    link = PahoLink(settings.broker, client_id(settings.gateway.plant, settings.gateway.id, "check"), lambda: None)
    async with link:
        with anyio.move_on_after(BROKER_TIMEOUT_S):
            while True:
                for event in await link.events():
                    if isinstance(event, Connected):
                        return Finding("ok", "broker", f"{where} accepts the connection")
                    if isinstance(event, Disconnected):
                        return Finding("error", "broker", f"{where}: {event.reason}")
    return Finding(
        "error", "broker", f"{where} does not answer within {BROKER_TIMEOUT_S:g} s: is it running, is the port open?"
    )


def _certificates(source: OpcUaSource, clock: Clock) -> list[Finding]:
    now = datetime.fromtimestamp(clock.utc_ms() / 1000, UTC)
    found = []
    for key in ("certificate_file", "server_certificate_file"):
        path = getattr(source, key)
        if path is None:
            continue
        subject = f"sources.opcua {source.press} {key}"
        try:
            problem = validity_problem(path, now)
        except CertificateError as error:
            found.append(Finding("error", subject, str(error)))
            continue
        if problem is not None:
            found.append(Finding("warning" if "expires on" in problem else "error", subject, problem))
    return found


async def _press(source: OpcUaSource) -> Finding:
    subject = f"sources.opcua {source.press}"
    try:
        with anyio.fail_after(PRESS_TIMEOUT_S):
            async with await make_client(source) as client:
                nodes = await discover(client, source.url)
    except TimeoutError:
        return Finding("error", subject, f"{source.url} does not answer within {PRESS_TIMEOUT_S:g} s")
    except (DiscoveryError, CertificateError) as error:
        return Finding("error", subject, str(error))
    except (OSError, ua.UaError) as error:
        return Finding("error", subject, f"{source.url} cannot be reached: {error or type(error).__name__}")
    parts = f"{len(nodes.converters)} parameters, {len(nodes.dataset.converters)} set points"
    text = f"{source.url} offers {parts} and {'curves' if nodes.curves else 'no curves'}"
    if nodes.notes:
        return Finding("warning", subject, f"{text}; {'; '.join(nodes.notes)}")
    return Finding("ok", subject, text)
