"""Two programs under one name: the later one is refused, a restart and a late birth are not mistaken for a twin."""

from cloud.ingest.gate import BARRED, SPELLED, TWIN, Gate
from cloud.ingest.recovery import lost, replay_from
from cloud.ingest.twins import REFUSED_FOR_S, Twins
from cloud.telemetry.store import GatewayKey
from contract.ranges import RangeSet
from contract.standing import Refusal, Standing

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


def test_a_name_that_differs_in_case_alone_is_refused_and_the_first_keeps_it() -> None:
    gate = Gate()
    gate.load([GatewayKey("plant", "old")])
    second, elsewhere, plant = GatewayKey("plant", "GW"), GatewayKey("other", "GW"), GatewayKey("Plant", "gw-9")
    for gateway in (GATEWAY, second, elsewhere, plant, GatewayKey("plant", "OLD")):
        gate.born(gateway, str(gateway), 0.0)
    assert gate.refusal(GATEWAY, 1.0) is None
    assert gate.refusal(second, 1.0) == Refusal(str(second), SPELLED.format(other="gateway gw"))
    assert gate.refusal(elsewhere, 1.0) is None, "gateways compare within their plant"
    assert gate.refusal(plant, 1.0) == Refusal(str(plant), SPELLED.format(other="plant plant"))
    assert gate.refusal(GatewayKey("plant", "OLD"), 1.0) is not None, "a gateway that is switched off keeps its name"
    gate.born(GATEWAY, "again", 2.0)
    assert gate.refusal(GATEWAY, 2.0) is None


def test_a_gateway_that_is_shut_out_takes_no_name() -> None:
    gate = Gate({GATEWAY}.__contains__)
    gate.born(GATEWAY, "a", 0.0)
    gate.born(GatewayKey("plant", "GW"), "b", 1.0)
    assert gate.refusal(GatewayKey("plant", "GW"), 1.0) is None


def test_what_a_host_asks_back_and_what_it_must_write_off() -> None:
    standing = Standing("i", "e", epoch_first=1, recallable=50, first=80, next_id=100)
    nothing, all_of_it, old_state = RangeSet(), RangeSet([(1, 79)]), RangeSet([(1, 30), (40, 60)])
    assert (replay_from(standing, nothing), lost(standing, nothing)) == (50, [(1, 49)])
    assert (replay_from(standing, all_of_it), lost(standing, all_of_it)) == (None, [])
    assert (replay_from(standing, old_state), lost(standing, old_state)) == (61, [(31, 39)])
