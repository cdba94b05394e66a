"""OEE by the names and formulas of ISO 22400-2, from counts of shots. Pure.

    availability  = APT / PBT          actual production time / planned busy time
    effectiveness = PRI * PQ / APT     planned run time per item * produced quantity / actual production time
    quality ratio = GQ / PQ            good quantity / produced quantity
    OEE index     = availability * effectiveness * quality ratio

A factor of which nothing is known is None, and so is the index: none is taken for 100 %.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

Factor = Literal["availability", "effectiveness", "quality"]
FACTORS: tuple[Factor, ...] = ("availability", "effectiveness", "quality")

STOP_CYCLES = 3.0
"""A cycle that lasted longer than this many expected ones was a stop with one expected cycle in it."""
CYCLE_S_MAX = 3_600.0
"""A press that says a cycle lasted longer tells nothing of its pace."""
REJECTED = frozenset({"waste", "scrap", "reject", "rejected", "bad", "nok"})
"""Quality classes, in lower case, whose parts are not good; all other classes are."""


@dataclass(frozen=True, slots=True)
class Output:
    """What was made in a time with one mould: counts that can be added.

    `timed` of the `shots` told their own cycle time, and took `timed_ms` of production together; `graded` of them got a
    quality class, and `good` of these a good one.
    """

    shots: int = 0
    timed: int = 0
    timed_ms: int = 0
    graded: int = 0
    good: int = 0

    def __add__(self, other: "Output") -> "Output":
        return Output(
            self.shots + other.shots,
            self.timed + other.timed,
            self.timed_ms + other.timed_ms,
            self.graded + other.graded,
            self.good + other.good,
        )


@dataclass(frozen=True, slots=True)
class Pace:
    """What was made with one mould, beside the cycle time expected of the press with it (None: not known yet)."""

    output: Output
    expected_s: float | None


@dataclass(frozen=True, slots=True)
class Account:
    """Sums from which the factors follow, for one press or many; they can be added.

    `ideal_ms` (PRI * PQ) is over the shots that took `paced_ms`: those with a cycle time and an expected one.
    `unaccounted` shots have neither, so nobody knows how long the press produced.
    """

    planned_ms: int = 0
    produced_ms: float = 0.0
    ideal_ms: float = 0.0
    paced_ms: int = 0
    shots: int = 0
    graded: int = 0
    good: int = 0
    unaccounted: int = 0

    def __add__(self, other: "Account") -> "Account":
        return Account(
            self.planned_ms + other.planned_ms,
            self.produced_ms + other.produced_ms,
            self.ideal_ms + other.ideal_ms,
            self.paced_ms + other.paced_ms,
            self.shots + other.shots,
            self.graded + other.graded,
            self.good + other.good,
            self.unaccounted + other.unaccounted,
        )


@dataclass(frozen=True, slots=True)
class Oee:
    """The three factors, each None where it is not known; effectiveness is above 1 when faster than expected."""

    availability: float | None
    effectiveness: float | None
    quality: float | None

    @property
    def unknown(self) -> tuple[Factor, ...]:
        """The factors that are not known."""
        return tuple(name for name in FACTORS if getattr(self, name) is None)

    @property
    def index(self) -> float | None:
        """The OEE index; None as long as one factor is not known."""
        return self.known_product if not self.unknown else None

    @property
    def known_product(self) -> float | None:
        """The product of the factors that are known; None when none is."""
        known = [value for value in (self.availability, self.effectiveness, self.quality) if value is not None]
        product = 1.0
        for value in known:
            product *= value
        return product if known else None


def production_s(cycle_s: float | None, expected_s: float | None) -> float | None:
    """How long the press produced in a cycle that lasted `cycle_s`; None where it did not say."""
    if cycle_s is None or not 0 < cycle_s <= CYCLE_S_MAX:
        return None
    if expected_s is not None and cycle_s > STOP_CYCLES * expected_s:
        return expected_s
    return cycle_s


def is_good(quality_class: str) -> bool:
    """Whether parts of this class count as good quantity."""
    return quality_class.casefold() not in REJECTED


def account_of(paces: Iterable[Pace], planned_ms: int) -> Account:
    """The sums of one press that was planned to be busy for `planned_ms`."""
    total = Account(planned_ms=planned_ms)
    for pace in paces:
        total += _account(pace)
    return total


def _account(pace: Pace) -> Account:
    made, expected_s = pace.output, pace.expected_s
    untimed = made.shots - made.timed
    expected_ms = None if expected_s is None else expected_s * 1000
    return Account(
        produced_ms=made.timed_ms + untimed * (expected_ms or 0.0),
        ideal_ms=0.0 if expected_ms is None else expected_ms * made.timed,
        paced_ms=0 if expected_ms is None else made.timed_ms,
        shots=made.shots,
        graded=made.graded,
        good=made.good,
        unaccounted=untimed if expected_ms is None else 0,
    )


def oee_of(account: Account) -> Oee:
    """The factors; clocks that differ by seconds make no availability above 1."""
    is_time_known = account.planned_ms > 0 and account.unaccounted == 0
    return Oee(
        availability=min(1.0, account.produced_ms / account.planned_ms) if is_time_known else None,
        effectiveness=account.ideal_ms / account.paced_ms if account.paced_ms > 0 else None,
        quality=account.good / account.graded if account.graded > 0 else None,
    )


def planned_busy_ms(start_ms: int, end_ms: int, pauses: Iterable[tuple[int, int]]) -> int:
    """The time from `start_ms` to `end_ms` without the planned downtimes `pauses`, which may overlap."""
    left_ms, reached_ms = max(0, end_ms - start_ms), start_ms
    for pause_start_ms, pause_end_ms in sorted(pauses):
        first_ms, last_ms = max(pause_start_ms, reached_ms), min(pause_end_ms, end_ms)
        if last_ms > first_ms:
            left_ms -= last_ms - first_ms
            reached_ms = last_ms
    return left_ms


def total_of(accounts: Mapping[str, Account]) -> Account:
    """The sums of several presses together."""
    total = Account()
    for account in accounts.values():
        total += account
    return total
