"""Two programs under one name: the later one is refused, a restart and a late birth are not mistaken for a twin."""

from cloud.ingest.gate import BARRED, TWIN, Gate
from cloud.ingest.recovery import lost, replay_from
from cloud.ingest.twins import REFUSED_FOR_S, Twins
from cloud.telemetry.store import GatewayKey
from contract.ranges import RangeSet
from contract.standing import Standing

GATEWAY = GatewayKey("plant", "gw")


def born(twins: Twins, *instances: str, every_s: float = 2.0, from_s: float = 0.0) -> float:
    now_s = from_s
    for instance in instances:
        now_s += every_s
        twins.born(GATEWAY, instance, now_s)
    return now_s


def test_restarts_rebirths_and_one_late_birth_are_no_twins() -> None:
    twins = Twins()
    now_s = born(twins, "a", "a", "b", "a", "b2", "b2", "c")
    assert not twins.is_refused(GATEWAY, now_s)


def test_the_program_that_came_last_is_refused_and_the_other_goes_on() -> None:
    twins = Twins()
    now_s = born(twins, "first", "second", "first", "second")
    assert twins.is_refused(GATEWAY, now_s)
    now_s = born(twins, "first", from_s=now_s)
    assert not twins.is_refused(GATEWAY, now_s)
    now_s = born(twins, "second", from_s=now_s)
    assert twins.is_refused(GATEWAY, now_s), "it stays refused when it knocks again"


def test_a_refused_program_is_let_in_when_it_is_alone_or_after_a_while() -> None:
    twins = Twins()
    now_s = born(twins, "first", "second", "first", "second")
    born(twins, "second", from_s=now_s, every_s=5.0)
    assert twins.is_refused(GATEWAY, now_s + 5.0), "births in one connection say nothing"
    born(twins, "second", from_s=now_s + 5.0, every_s=120.0)
    assert not twins.is_refused(GATEWAY, now_s + 125.0)
    twins = Twins()
    now_s = born(twins, "first", "second", "first", "second")
    assert not twins.is_refused(GATEWAY, now_s + REFUSED_FOR_S + 1)


def test_returns_that_are_far_apart_are_no_fight() -> None:
    twins = Twins()
    now_s = born(twins, "first", "second", "first", "second", every_s=700.0)
    assert not twins.is_refused(GATEWAY, now_s)


def test_the_gate_tells_why() -> None:
    barred: set[GatewayKey] = set()
    gate = Gate(barred.__contains__)
    for at, instance in enumerate(("a", "b", "a", "b")):
        gate.born(GATEWAY, instance, float(at))
    refusal = gate.refusal(GATEWAY, 3.0)
    assert refusal is not None
    assert (refusal.instance, refusal.reason) == ("b", TWIN)
    barred.add(GATEWAY)
    refusal = gate.refusal(GATEWAY, 3.0)
    assert refusal is not None
    assert refusal.reason == BARRED
    assert gate.refusal(GatewayKey("plant", "other"), 3.0) is None


def test_what_a_host_asks_back_and_what_it_must_write_off() -> None:
    standing = Standing("i", "e", epoch_first=1, recallable=50, first=80, next_id=100)
    nothing, all_of_it, old_state = RangeSet(), RangeSet([(1, 79)]), RangeSet([(1, 30), (40, 60)])
    assert (replay_from(standing, nothing), lost(standing, nothing)) == (50, [(1, 49)])
    assert (replay_from(standing, all_of_it), lost(standing, all_of_it)) == (None, [])
    assert (replay_from(standing, old_state), lost(standing, old_state)) == (61, [(31, 39)])
