"""Poison among good messages: it is set aside, stalls nobody, and every good record is stored once."""

import random
from collections.abc import Iterator

import numpy as np

from cloud.ingest.digest import UNREADABLE, digest
from cloud.ingest.gate import Gate
from cloud.telemetry.memory_store import MemoryStore
from cloud.telemetry.store import GatewayKey, IncomingGap, PressKey
from contract import commit, shot_wire, standing
from contract.shot import ScoredShot, Scores, Shot
from contract.sparkplug.codec import Metric, encode_metrics
from contract.sparkplug.datatypes import DataType
from contract.sparkplug.edge_node import EdgeNodeSession
from contract.sparkplug.host import HostSession
from contract.standing import Standing
from edge_agent.aliases import AliasTable

EPOCH = "00000000-0000-0000-0000-000000000005"
NOW_MS = 1_767_225_600_000
GATEWAY = GatewayKey("p", "g")


class Sender:
    """A well-behaved gateway of one press."""

    def __init__(self) -> None:
        self.aliases = AliasTable(())
        self.aliases.add_press("m")
        self.session = EdgeNodeSession("p", "g")
        self.session.connect(0)
        self.session.connected()
        self.body(0)  # gives all aliases

    def births(self) -> list[tuple[str, bytes]]:
        node = standing.birth_metrics(Standing("instance", EPOCH, 1, 1, 1, 1))
        messages = self.session.birth(node, {"m": self.aliases.birth_metrics("m", NOW_MS)}, NOW_MS)
        return [(message.topic, message.payload) for message in messages]

    def body(self, number: int) -> bytes:
        shot = Shot("m", NOW_MS + number, {"CycleTime": 1.0}, {"ClampForce": np.ones(20, np.float32)}, 0.005, number)
        scored = ScoredShot(shot, np.ones(5, np.float32), "h", Scores("b", {"Novelty/T2": 1.0}))
        alias_of = self.aliases.of("m")
        curves = shot_wire.curve_metrics(shot, alias_of)
        return encode_metrics([*shot_wire.body_metrics(scored, alias_of), *curves])

    def data(self, number: int, body: bytes | None = None) -> tuple[str, bytes]:
        head = encode_metrics(shot_wire.head_metrics(EPOCH, number, NOW_MS, self.aliases.of("m")))
        message = self.session.device_data("m", head + (self.body(number) if body is None else body), NOW_MS)
        return message.topic, message.payload


def poison(rng: random.Random, good: tuple[str, bytes]) -> tuple[str, bytes]:
    """A mutation of a good message: bytes flipped, cut, doubled, random; or a topic that means something else."""
    topic, payload = good
    kind = rng.randrange(6)
    if kind == 0:
        return topic, rng.randbytes(rng.randrange(200))
    if kind == 1:
        return topic, payload[: rng.randrange(len(payload))]
    if kind == 2:
        return rng.choice(
            ["spBv1.0/p/DDATA/g", "spBv1.0/p/XDATA/g/m", "spBv2.0/p/NDATA/g", "a/b", "", topic + "/x"]
        ), payload
    if kind == 3:
        return topic, payload + rng.randbytes(rng.randrange(1, 30))
    mutated = bytearray(payload)
    for _ in range(rng.randrange(1, 8)):
        mutated[rng.randrange(len(mutated))] = rng.randrange(256)
    return topic, bytes(mutated)


def stream(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Births, then good and bad messages in turn; the bad ones on the topic of a press of another gateway."""
    rng, sender = random.Random(seed), Sender()
    yield from sender.births()
    for number in range(1, count + 1):
        good = sender.data(number)
        bad_topic, bad = poison(rng, (good[0].replace("/g/", "/evil/"), good[1]))
        yield bad_topic, bad
        yield good


def test_ten_thousand_malformed_messages_are_set_aside_and_no_good_one_is_lost() -> None:
    host, store = HostSession("zhisan"), MemoryStore()
    messages = list(stream(seed=1, count=10_000))
    bad, letters = 0, 0
    for start in range(0, len(messages), 500):
        result = digest(host, Gate(), messages[start : start + 500], NOW_MS, 0.0)
        store.write(result.records)
        letters += len(result.letters)
        bad += sum(1 for record in result.records if record.gateway != GATEWAY)
    assert store.counts(frozenset({"p"}))[PressKey("p", "m")] == 10_000
    assert list(store.committed(GATEWAY, EPOCH)) == [(1, 10_000)]
    assert letters > 3_000, "what cannot be read is kept for people"
    assert bad == 0, "nothing of an unborn gateway is taken for a record"


def test_poison_on_a_gateway_s_own_topic_never_raises_and_the_session_goes_on() -> None:
    rng, sender, host, store = random.Random(2), Sender(), HostSession("zhisan"), MemoryStore()
    store.write(digest(host, Gate(), sender.births(), NOW_MS, 0.0).records)
    for number in range(1, 3_001):
        good = sender.data(number)
        result = digest(host, Gate(), [poison(rng, good), good], NOW_MS, 0.0)
        store.write(result.records)
    # A flipped byte can turn one id into another; what was sent whole afterwards must all be there.
    assert all(number in store.committed(GATEWAY, EPOCH) for number in range(1, 3_001))


def test_an_unreadable_record_with_a_readable_id_is_spent_so_that_its_gateway_goes_on() -> None:
    sender, host, store = Sender(), HostSession("zhisan"), MemoryStore()
    alias_of = sender.aliases.of("m")
    body = encode_metrics(
        [
            Metric(None, 7, DataType.Int64, alias=alias_of("Shot/JobName", DataType.String), timestamp_ms=NOW_MS),
        ]
    )
    messages = [*sender.births(), sender.data(1), sender.data(2, body), sender.data(3)]
    result = digest(host, Gate(), messages, NOW_MS, 0.0)
    assert [type(record) is IncomingGap for record in result.records] == [False, True, False]
    gap = result.records[1]
    assert isinstance(gap, IncomingGap)
    assert (gap.record_id, gap.reason) == (2, UNREADABLE)
    assert len(result.letters) == 1
    store.write(result.records)
    assert commit.commit_of(EPOCH, store.committed(GATEWAY, EPOCH)).below == 4
