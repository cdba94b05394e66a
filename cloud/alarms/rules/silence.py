"""After what silence of a press a rule of stale data fires. Pure."""

from cloud.alarms.rules.definition import StaleData


def silence_ms_max(condition: StaleData, cycle_ms: float | None) -> int | None:
    """How long a press may be silent; None where only cycles are told and nobody knows how long the press's are."""
    of_cycles = None if condition.cycles is None or cycle_ms is None else condition.cycles * cycle_ms
    of_seconds = None if condition.seconds is None else condition.seconds * 1000
    told = [each for each in (of_cycles, of_seconds) if each is not None]
    return round(max(told)) if told else None
