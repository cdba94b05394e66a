"""The gap ledger's lines account for every id once, whatever arrives twice, overlaps or comes in another order."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cloud.gaps_api import position
from cloud.ingest.digest import UNREADABLE, digest
from cloud.ingest.gate import Gate
from cloud.ingest.service import LOST_AT_HOST
from cloud.telemetry.deduplication import admit
from cloud.telemetry.gap_ledger import drops, ledger
from cloud.telemetry.memory_store import MemoryStore
from cloud.telemetry.store import GapFilter, GatewayKey, IncomingGap, PressKey, StoredGap
from cloud.web.gaps_page import REASONS
from cloud.web.translation import load_catalogues
from contract import shot_wire
from contract.gaps import DAMAGED, FULL, MISSED_CYCLES, REFUSED, THINNED, GapLine
from contract.ranges import RangeSet
from contract.shot import ScoredShot, Scores, Shot
from contract.sparkplug.codec import encode_metrics
from contract.sparkplug.host import HostSession
from edge_agent.aliases import AliasTable
from edge_agent.journal.journal import Record
from edge_agent.pipeline import gap_body
from tests.property.test_ingest_poison import EPOCH, NOW_MS, Sender

EVERYWHERE = GapFilter(frozenset({"p", "q"}))
GAPS = st.builds(
    IncomingGap,
    gateway=st.sampled_from([GatewayKey("p", "g"), GatewayKey("q", "g")]),
    epoch=st.sampled_from(["e1", "e2"]),
    record_id=st.integers(1, 40),
    received_ms=st.just(9),
    press_id=st.sampled_from(["", "m1", "m2"]),
    ended_ms=st.integers(0, 5),
    reason=st.sampled_from(["thinned", "damaged"]),
    last_record_id=st.none(),
) | st.builds(
    IncomingGap,
    gateway=st.just(GatewayKey("p", "g")),
    epoch=st.just("e1"),
    record_id=st.integers(1, 20),
    received_ms=st.just(9),
    press_id=st.just(""),
    ended_ms=st.integers(0, 5),
    reason=st.just("lost_at_host"),
    last_record_id=st.integers(20, 40),
)


@given(gaps=st.lists(GAPS, max_size=30), times=st.integers(1, 2))
def test_every_id_is_counted_once(gaps: list[IncomingGap], times: int) -> None:
    new_ids, after = admit(gaps * times, lambda _gateway, _epoch: RangeSet())
    lines = ledger(drops(gaps * times, new_ids, 1), EVERYWHERE, limit=1_000)
    assert sum(line.count for line in lines) == sum(ranges.count() for ranges in after.values())
    assert all(line.from_ended_ms <= line.to_ended_ms for line in lines)


@given(gaps=st.lists(GAPS, max_size=30), limit=st.integers(1, 4))
def test_pages_join_without_loss_or_repeat_and_newest_first(gaps: list[IncomingGap], limit: int) -> None:
    new_ids, _ = admit(gaps, lambda _gateway, _epoch: RangeSet())
    found = drops(gaps, new_ids, 1)
    whole = ledger(found, EVERYWHERE, limit=1_000)
    assert all((a.to_ended_ms, a.gap_id) > (b.to_ended_ms, b.gap_id) for a, b in pairwise(whole))
    paged: Sequence[StoredGap] = []
    while page := ledger(found, EVERYWHERE, limit=limit, before=position(paged[-1]) if paged else None):
        paged = [*paged, *page]
    assert paged == whole


def test_what_a_gateway_gave_up_on_the_wire_stands_in_the_ledger() -> None:
    sender, host, store = Sender(), HostSession("zhisan"), MemoryStore()
    alias_of = sender.aliases.of("m")
    scored = ScoredShot(Shot("m", NOW_MS + 1, {"CycleTime": 1.0}), np.ones(5, np.float32), "h", Scores("b", {}))
    without_curves = encode_metrics(
        [*shot_wire.body_metrics(scored, alias_of), *shot_wire.curves_dropped_metrics(NOW_MS + 1, FULL, alias_of)]
    )
    given_up = encode_metrics(shot_wire.gap_metrics(NOW_MS + 2, THINNED, alias_of))
    births, sent = sender.births(), [sender.data(1, without_curves), sender.data(2, given_up), sender.data(3)]
    store.write(digest(host, Gate(), [*births, *sent, *sent], NOW_MS, 0.0).records)
    press = PressKey("p", "m")
    assert store.gaps(EVERYWHERE, limit=9) == [
        StoredGap(2, "shot", press, "g", THINNED, 1, NOW_MS + 2, NOW_MS + 2),
        StoredGap(1, "curves", press, "g", FULL, 1, NOW_MS + 1, NOW_MS + 1),
    ]
    assert store.counts(EVERYWHERE.plant_ids) == {press: 2}


def run_of(first: int, last: int, *lines: GapLine) -> bytes:
    """A gap record as the gateway's journal gives it, on the wire."""
    record = Record(first, "m", NOW_MS, b"", b"", lines, last)
    aliases = AliasTable(())
    aliases.add_press("m")
    return gap_body(record, lines[0].reason, aliases.of("m"))


def test_joined_gaps_and_missed_cycles_come_through_the_ingest_with_the_number_of_shots() -> None:
    sender, host, store = Sender(), HostSession("zhisan"), MemoryStore()
    missed = GapLine("m", MISSED_CYCLES, 12, NOW_MS + 1, NOW_MS + 9)
    thinned = GapLine("m", THINNED, 3, NOW_MS + 2, NOW_MS + 6), GapLine("m2", THINNED, 4, NOW_MS, NOW_MS + 8)
    births, arrived = sender.births(), sender.data(3)
    sent = [sender.data(1, run_of(1, 1, missed)), sender.data(2, run_of(2, 8, *thinned))]
    store.write(digest(host, Gate(), [*births, arrived], NOW_MS, 0.0).records)
    store.write(digest(host, Gate(), [*sent, *sent], NOW_MS, 0.0).records)
    found = {(line.press.press_id, line.reason): line for line in store.gaps(EVERYWHERE, limit=9)}
    assert {key: line.count for key, line in found.items()} == {
        ("m", MISSED_CYCLES): 12,
        ("m", THINNED): 2,  # one of the three had arrived before it was given up
        ("m2", THINNED): 4,
    }
    assert [(line.from_ended_ms - NOW_MS, line.to_ended_ms - NOW_MS) for line in found.values()] == [
        *((line.from_ms - NOW_MS, line.to_ms - NOW_MS) for line in (missed, thinned[1], thinned[0])),
    ]
    assert list(store.committed(GatewayKey("p", "g"), EPOCH)) == [(1, 8)], "the commit passes all of them"


def test_a_run_that_grew_since_it_came_is_counted_by_what_is_new_of_it() -> None:
    sender, host, store = Sender(), HostSession("zhisan"), MemoryStore()
    first = run_of(1, 5, GapLine("m", THINNED, 5, NOW_MS, NOW_MS))
    grown = run_of(1, 9, GapLine("m", THINNED, 6, NOW_MS, NOW_MS), GapLine("m", REFUSED, 30, NOW_MS, NOW_MS))
    messages = [*sender.births(), sender.data(1, first), sender.data(7), sender.data(1, grown)]
    store.write(digest(host, Gate(), messages, NOW_MS, 0.0).records)
    counts = {line.reason: line.count for line in store.gaps(EVERYWHERE, limit=9)}
    assert counts == {THINNED: 5, REFUSED: 30}


def test_a_gap_record_that_makes_no_sense_is_set_aside_and_its_ids_are_spent() -> None:
    sender, host, store = Sender(), HostSession("zhisan"), MemoryStore()
    wrong = GapLine("m", THINNED, 10**13, NOW_MS, NOW_MS)
    result = digest(host, Gate(), [*sender.births(), sender.data(1, run_of(1, 4, wrong))], NOW_MS, 0.0)
    store.write(result.records)
    assert "Gaps/Counts" in result.letters[0].reason
    assert [(line.reason, line.count) for line in store.gaps(EVERYWHERE, limit=9)] == [(UNREADABLE, 4)]


def test_every_reason_that_this_version_gives_has_plain_words() -> None:
    assert {THINNED, FULL, DAMAGED, REFUSED, MISSED_CYCLES, UNREADABLE, LOST_AT_HOST} <= set(REASONS)
    for catalogue in load_catalogues().values():
        assert all(catalogue.find(f"gaps.reasons.{reason}") for reason in REASONS)
