"""How far does each failure mode move its signals on the simulated presses, beside what the process model asks for?

`python -m bench.press_signatures` prints the tables of docs/reference/failure_modes.md, `--write` puts them into the
page. The draws of chance are the same with and without the fault, so what is seen is the fault alone.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from math import isinf
from pathlib import Path
from typing import Final

import numpy as np

from bench.report import tell
from bench.signature_rows import ROUNDED, ROWS, UPSET_ROWS, Row
from contract.vocabulary import PARAMETERS
from simulators.faults import upsets
from simulators.faults.catalogue import wear
from simulators.faults.fault import Constant, Fault
from simulators.press.block import Block
from simulators.press.material import Array
from simulators.press.press import Press
from simulators.press.process import PROCESSES

PAGE: Final = Path(__file__).resolve().parents[1] / "docs/reference/failure_modes.md"
CYCLES: Final = 400
SEEDS: Final = (3, 4)
"""Two presses of each process; figures are their mean."""
SEVERITIES: Final = (0.3, 0.6, 1.0)
WINDOWS: Final = 10
"""Of CYCLES each: how far a healthy press wanders from one to the next."""
HOLD_SAMPLES: Final = slice(500, 850)
"""2.5 to 4.25 s: hold, in both processes."""
EVER: Final = 10**15
_NAMES: Final = tuple(PARAMETERS)
Figures = Mapping[str, float]


def figures(block: Block) -> Figures:
    """All quantities of a block by name; of cycles whose check ring closed but for `weight_sd` and `non_closing`."""
    closed, truth = block.truth.has_closed, block.truth

    def column(name: str) -> Array:
        return np.asarray(block.parameters[closed, _NAMES.index(name)], np.float64)

    ripple = column("PlastificationSpecificPressureMaximum") / column("PlastificationSpecificPressureAverage") - 1
    found = {name: float(column(name).mean()) for name in _NAMES} | {
        "cushion_sd": float(column("CushionStroke").std()),
        "injection_time_sd": float(column("InjectionTime").std()),
        "hold_travel": float((column("TransferStroke") - column("CushionStroke")).mean()),
        "screw_work": float((column("ScrewTorqueAverage") * column("ScrewRevolutions")).mean()),
        "back_ripple": float(ripple.mean()),
        "part_g": float(truth.part_g[closed].mean()),
        "weight_sd": float(100 * truth.part_g.std() / truth.part_g.mean()),
        "dimension_mm": float(truth.dimension_mm[closed].mean()),
        "non_closing": float(100 * (1 - closed.mean())),
    }
    if block.curves is not None:
        hold = block.curves[:, 0, HOLD_SAMPLES].astype(np.float64)
        found["hold_ripple"] = float(100 * (hold - hold.mean(axis=1, keepdims=True)).std() / hold.mean())
    return found


@cache
def measured(process: str, seed: int, mode: str, severity: float) -> Figures:
    """A press that has had a fault, or an upset, of one severity for long; severity 0 is the same press, healthy."""
    faults = [_acting(mode, severity)] if severity else []
    press = Press("p", process=PROCESSES[process], seed=seed, faults=faults)
    return figures(press.block(CYCLES, with_curves=mode == "valve_lag_stiction"))


def moved(row: Row, process: str, severity: float) -> float:
    """What a row's quantity does at a severity, in the row's kind; the mean of the presses."""
    return float(
        np.mean(
            [
                _change(row, measured(process, seed, row.mode, 0.0), measured(process, seed, row.mode, severity))
                for seed in SEEDS
            ]
        )
    )


def shift(row: Row, process: str, severity: float) -> float:
    """How far from healthy a row's quantity is, 0 is not at all: for levels the distance, for factors the logarithm."""
    value = moved(row, process, severity)
    return value - moved(row, process, 0.0) if row.kind == "level" else _distance(row, value)


@cache
def windows(process: str, seed: int) -> tuple[Figures, ...]:
    """A healthy press, window after window."""
    press = Press("p", process=PROCESSES[process], seed=seed)
    return tuple(figures(press.block(CYCLES, with_curves=True)) for _ in range(WINDOWS))


def wander(row: Row, process: str) -> float:
    """The farthest that a window of a healthy press lies from the median of its windows, as `shift` counts it."""
    if row.kind == "% a K":
        return 0.0
    farthest = []
    for seed in SEEDS:
        found = windows(process, seed)
        usual = {name: float(np.median([each[name] for each in found])) for name in found[0]}
        gone = [_change(row, usual, each) - (usual[row.quantity] if row.kind == "level" else 0.0) for each in found]
        farthest.append(max(abs(value if row.kind == "level" else _distance(row, value)) for value in gone))
    return float(np.mean(farthest))


def is_hidden(row: Row, process: str) -> bool:
    """Whether a healthy press wanders by more than half of what the fault moves."""
    return not row.stays and wander(row, process) > 0.5 * abs(shift(row, process, row.at))


def off_by(row: Row, process: str) -> float:
    """By which factor the quantity leaves its range at `row.at`: 1 is not at all, infinity is the wrong way."""
    value = moved(row, process, row.at)
    if row.high is None:
        return 1.0 if (shift(row, process, row.at) > 0) == row.rises else float("inf")
    if row.stays:
        return max(abs(value) / row.high, 1.0)
    if value * row.high <= 0:
        return float("inf")
    weak, strong = abs(row.low), abs(row.high)
    return max(weak / abs(value), abs(value) / strong, 1.0)


def tables() -> str:
    """Both tables as they stand in the page."""
    return "\n".join(
        [
            *_table(ROWS, SEVERITIES, "severity 0.3 / 0.6 / 1"),
            "",
            "Upsets, fully there:",
            "",
            *_table(UPSET_ROWS, (1.0,), "moved"),
        ]
    )


def main(argv: Sequence[str]) -> int:
    """Print or write the tables."""
    parser = argparse.ArgumentParser(prog="press_signatures", description=__doc__)
    parser.add_argument("--json", action="store_true", help="end with one flat JSON object")
    parser.add_argument("--write", action="store_true", help="put the tables into the page")
    options = parser.parse_args(argv)
    text = tables()
    if options.write:
        PAGE.write_text(_with_tables(PAGE.read_text(encoding="utf-8"), text), encoding="utf-8")
    print(text)
    worst = [max(off_by(row, process) for process in PROCESSES) for row in ROWS]
    tell(
        {
            "signals": len(ROWS),
            "signals_in_range": sum(each <= ROUNDED for each in worst),
            "signals_within_twice": sum(each <= 2.0 for each in worst),
            "signals_wrong_way": sum(isinf(each) for each in worst),
        },
        as_json=options.json,
    )
    return 0


def _acting(mode: str, severity: float) -> Fault:
    if mode == "viscosity_lot_change":
        return upsets.lot_change(-EVER, EVER, 0.15, 1)
    if mode == "moisture_high":
        return upsets.moisture(-EVER, EVER, 1.0)
    if mode == "ambient_change":
        return upsets.heat_wave(-EVER, EVER, 8.0)
    return wear(mode, Constant(severity))


def _change(row: Row, before: Figures, after: Figures) -> float:
    if row.kind == "% a K":
        peak = 100 * (after["SpecificPressureMaximum"] / before["SpecificPressureMaximum"] - 1)
        colder = before["MeltTemperature"] - after["MeltTemperature"]
        return peak / colder if abs(colder) > 0.5 else float("nan")
    was, now = before[row.quantity], after[row.quantity]
    if row.kind == "%":
        return 100 * (now / was - 1)
    if row.kind == "x":
        return now / was
    return now if row.kind == "level" else now - was


def _distance(row: Row, value: float) -> float:
    return float(np.log(value)) if row.kind == "x" else value


def _table(rows: Sequence[Row], severities: Sequence[float], heading: str) -> list[str]:
    both = list(PROCESSES)
    lines = [
        f"| mode | signal | wanted | PP, {heading} | ABS, {heading} | off by | healthy wander | why off |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        seen = [" / ".join(_number(moved(row, process, severity)) for severity in severities) for process in both]
        off = " / ".join(_off(row, process) for process in both)
        far = max(wander(row, process) for process in both)
        healthy = "" if row.kind == "% a K" else _number(float(np.exp(far)) if row.kind == "x" else far)
        lines.append(
            f"| {row.mode} | {row.signal} | {_wanted(row)} | {seen[0]} | {seen[1]} | {off} | {healthy} | {row.note} |"
        )
    return lines


def _wanted(row: Row) -> str:
    unit = {"x": "times", "level": row.unit, "% a K": "% per K colder"}.get(row.kind, row.kind)
    at = "" if row.at == 1.0 else f", at {row.at:g}"
    if row.high is None:
        return f"{'up' if row.rises else 'down'} ({unit}{at})"
    if row.stays:
        return f"within {row.high:g} {unit}{at}"
    span = f"{row.low:g}" if row.low == row.high else f"{row.low:g} to {row.high:g}"
    return f"{span} {unit}{at}"


def _number(value: float) -> str:
    if np.isnan(value):
        return "–"
    digits = 0 if abs(value) >= 10 else 1 if abs(value) >= 1 else 2
    return f"{round(value, digits) + 0.0:.{digits}f}"


def _off(row: Row, process: str) -> str:
    factor = off_by(row, process)
    told = "wrong way" if isinf(factor) else "in" if factor <= ROUNDED else f"x{factor:.1f}"
    return f"{told}, hidden" if is_hidden(row, process) else told


BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"


def _with_tables(page: str, text: str) -> str:
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
