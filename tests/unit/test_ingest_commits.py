"""The commit goes out soon, not too often, and again in case it was lost."""

from cloud.ingest.commits import CommitSchedule
from cloud.telemetry.store import GatewayKey

GATEWAY = GatewayKey("plant", "gw")
KEY = (GATEWAY, "e")


def test_new_data_is_committed_at_once_and_then_at_most_every_200_ms() -> None:
    schedule = CommitSchedule()
    schedule.stored(GATEWAY, "e", 0.0)
    assert schedule.take_due(0.0) == [KEY]
    schedule.stored(GATEWAY, "e", 0.1)
    assert schedule.take_due(0.1) == []
    assert schedule.take_due(0.2) == [KEY]


def test_the_word_is_said_again_for_ten_seconds_and_then_no_more() -> None:
    schedule = CommitSchedule()
    schedule.stored(GATEWAY, "e", 0.0)
    times = [step / 10 for step in range(300) if schedule.take_due(step / 10)]
    assert times == [float(second) for second in range(11)]


def test_a_birth_is_answered_at_once() -> None:
    schedule = CommitSchedule()
    schedule.stored(GATEWAY, "e", 0.0)
    schedule.take_due(0.0)
    schedule.born(GATEWAY, "e", 0.05)
    assert schedule.take_due(0.05) == [KEY]
