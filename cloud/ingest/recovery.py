"""What a birth tells of records that the host should have and has not. Pure."""

from contract.ranges import RangeSet
from contract.standing import Standing


def replay_from(standing: Standing, durable: RangeSet) -> int | None:
    """The lowest id that the gateway has forgotten but can read back, and that is not durable here; None: no such."""
    holes = durable.missing(standing.recallable, standing.first - 1)
    return holes[0][0] if holes else None


def lost(standing: Standing, durable: RangeSet) -> list[tuple[int, int]]:
    """The ids that the gateway no longer has and that are not durable here: this host has lost an older state."""
    return durable.missing(standing.epoch_first, standing.recallable - 1)
