"""The standing of a birth and the orders of a host: they come back as they went, and nonsense is named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract import standing
from contract.commit import EPOCH
from contract.sparkplug.codec import Metric
from contract.sparkplug.datatypes import DataType
from contract.standing import Refusal, Replay, Standing, StandingError

ids = st.lists(st.integers(1, 2**63), min_size=4, max_size=4).map(sorted)
texts = st.text(min_size=1, max_size=50)


@given(texts, texts, ids)
def test_a_standing_comes_back_from_its_birth(instance: str, epoch: str, numbers: list[int]) -> None:
    told = Standing(instance, epoch, *numbers)
    values = {metric.name or "": metric.value for metric in standing.birth_metrics(told)}
    assert standing.from_birth(values) == told


@given(st.one_of(st.builds(Replay, texts, st.integers(1, 2**63)), st.builds(Refusal, texts, texts)))
def test_an_order_comes_back_from_its_command(order: Replay | Refusal) -> None:
    assert standing.order_of(standing.order_metrics(order)) == order


def test_a_birth_of_another_maker_and_a_command_about_something_else_say_nothing() -> None:
    assert standing.from_birth({"Temperature": 21.0}) is None
    assert standing.order_of([Metric("Node Control/Rebirth", True, DataType.Boolean)]) is None


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({standing.INSTANCE: ""}, standing.INSTANCE),
        ({standing.FIRST: 0}, standing.FIRST),
        ({standing.NEXT: True}, standing.NEXT),
        ({standing.RECALLABLE: "5"}, standing.RECALLABLE),
        ({standing.EPOCH_FIRST: 9}, "not in order"),
    ],
)
def test_a_birth_that_makes_no_sense_is_refused_by_name(wrong: dict[str, object], named: str) -> None:
    values = {metric.name or "": metric.value for metric in standing.birth_metrics(Standing("i", "e", 1, 2, 3, 4))}
    with pytest.raises(StandingError, match=named):
        standing.from_birth({**values, **wrong})


@pytest.mark.parametrize(
    "metrics",
    [
        [Metric(standing.REPLAY_FROM, 5, DataType.UInt64)],
        [Metric(EPOCH, "e", DataType.UUID), Metric(standing.REPLAY_FROM, 0, DataType.UInt64)],
        [Metric(standing.REFUSED, "why", DataType.String)],
    ],
)
def test_an_order_that_makes_no_sense_is_refused(metrics: list[Metric]) -> None:
    with pytest.raises(StandingError):
        standing.order_of(metrics)
