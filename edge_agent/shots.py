"""From what a press reports of a cycle to a shot in the vocabulary's names and units. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from contract.shot import (
    CAVITIES_MAX,
    CURVE_SAMPLES_MAX,
    NOT_TOLD,
    PRODUCT_CHARACTERS_MAX,
    FloatArray,
    ProductionDataset,
    Shot,
)
from contract.units import conversion
from contract.vocabulary import PARAMETERS, SIGNALS

FLOAT32_MAX = float(np.finfo(np.float32).max)
CLOCK_OFF_MS_MAX = 5 * 60 * 1000
"""A press whose clock is further off than this is not believed about the time."""


@dataclass(frozen=True, slots=True)
class Converter:
    """Takes one reported field to a parameter or signal of the vocabulary."""

    name: str
    factor: float
    offset: float

    def value(self, reported: object) -> float:
        """The reading in the vocabulary's unit; NaN when it is no number."""
        if isinstance(reported, bool) or not isinstance(reported, int | float):
            return math.nan
        try:
            return finite(reported * self.factor + self.offset)
        except OverflowError:  # an integer beyond all floats
            return math.nan


def finite(reading: float) -> float:
    """The reading; NaN for one that is infinite, as it may become in another unit."""
    return reading if math.isfinite(reading) else math.nan


def parameter_converter(name: str, unit: str) -> Converter | None:
    """How to take a reported field called `name` in `unit`; None when the vocabulary does not know it.

    Raises:
        UnitError: the unit is unknown or measures something else.
    """
    wanted = PARAMETERS.get(name)
    return None if wanted is None else Converter(name, *conversion(unit or wanted.unit, wanted.unit))


def signal_converter(name: str, unit: str) -> Converter | None:
    """As `parameter_converter`, for curves."""
    wanted = SIGNALS.get(name)
    return None if wanted is None else Converter(name, *conversion(unit or wanted.unit, wanted.unit))


def curve(reported: object, converter: Converter) -> FloatArray | None:
    """A reported curve as float32 in the vocabulary's unit; None when it is no list of numbers, empty or too long."""
    if not isinstance(reported, list | tuple | np.ndarray) or not 0 < len(reported) <= CURVE_SAMPLES_MAX:
        return None
    try:
        wide = np.array(reported, np.float64)
    except (TypeError, ValueError):
        return None
    if wide.ndim != 1:
        return None
    if (converter.factor, converter.offset) != (1.0, 0.0):
        with np.errstate(over="ignore", invalid="ignore"):
            wide = wide * converter.factor + converter.offset
    wide[~(np.abs(wide) <= FLOAT32_MAX)] = np.nan  # beyond float32 is no reading
    return wide.astype(np.float32)


def trusted_time_ms(reported_ms: int | None, now_ms: int) -> int:
    """When the cycle ended: the press's word, or the gateway's clock when the press is silent or far off."""
    if reported_ms is None or abs(reported_ms - now_ms) > CLOCK_OFF_MS_MAX:
        return now_ms
    return reported_ms


def assemble(
    press_id: str,
    *,
    ended_ms: int,
    fields: Mapping[str, object],
    converters: Mapping[str, Converter],
    curves: Mapping[str, FloatArray],
    sample_interval_s: float,
    cycle_counter: int | None,
    job_name: str,
    mould_id: str,
    material: object = None,
    product_name: object = None,
    cavities: object = None,
    dataset: ProductionDataset = NOT_TOLD,
) -> Shot:
    """One shot from the fields of a cycle event, by the converter of each field, and what the press told of its job."""
    parameters = {
        converter.name: converter.value(fields[path]) for path, converter in converters.items() if path in fields
    }
    return Shot(
        press_id=press_id,
        ended_ms=ended_ms,
        parameters=parameters,
        curves=curves,
        sample_interval_s=sample_interval_s if curves else 0.0,
        cycle_counter=cycle_counter,
        job_name=_plain(job_name),
        mould_id=_plain(mould_id),
        material=_joined(material),
        product_name=_joined(product_name),
        cavities=_cavities(cavities),
        dataset=dataset,
    )


def production_dataset(
    name: object,
    description: object,
    mould_description: object,
    *,
    reported: Mapping[str, object],
    converters: Mapping[str, Converter],
) -> ProductionDataset:
    """What a press told of what it is set to; what is no text or number it did not tell."""
    values = ((converter.name, converter.value(reported.get(key))) for key, converter in converters.items())
    set_points = tuple(sorted((name, value) for name, value in values if math.isfinite(value)))
    dataset = ProductionDataset(_joined(name), _joined(description), _joined(mould_description), set_points)
    return NOT_TOLD if dataset == NOT_TOLD else dataset


def _joined(names: object) -> str:
    """The names that a press gave, as one text of bounded length; empty where it gave none."""
    several = names if isinstance(names, list | tuple) else [names]
    plain = (_plain(name) for name in several if isinstance(name, str))
    return ", ".join(name for name in plain if name)[:PRODUCT_CHARACTERS_MAX]


def _cavities(reported: object) -> int | None:
    """The number of cavities; None for none at all or more than any mould has."""
    if isinstance(reported, bool) or not isinstance(reported, int) or not 0 < reported <= CAVITIES_MAX:
        return None
    return reported


def _plain(text: str) -> str:
    """Without the zeros with which a controller fills up a text of fixed length."""
    return text.replace("\x00", "").strip()
