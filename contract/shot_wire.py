"""A journal record as Sparkplug metrics and back: scalars by name for every host, vectors and curves as arrays."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from contract import commit
from contract.gaps import GapLine
from contract.shot import (
    CAVITIES_MAX,
    CURVE_SAMPLES_MAX,
    NOT_TOLD,
    PARAMETERS_MAX,
    PRODUCT_CHARACTERS_MAX,
    SET_POINTS_MAX,
    FloatArray,
    ProductionDataset,
    Reason,
    ScoredShot,
    Scores,
    Shot,
)
from contract.sparkplug.codec import Metric
from contract.sparkplug.datatypes import DataType
from contract.vocabulary import PARAMETERS, SIGNALS
from kit.errors import ZhisanError

JOURNAL_ID: Final = "Journal/Id"
GAP: Final = "Journal/Gap"
LAST_ID: Final = "Journal/LastId"
CURVES_DROPPED: Final = "Journal/CurvesDropped"
GAP_PRESSES: Final = "Gaps/Presses"
GAP_REASONS: Final = "Gaps/Reasons"
GAP_COUNTS: Final = "Gaps/Counts"
GAP_FROM: Final = "Gaps/From"
GAP_TO: Final = "Gaps/To"
ENDED: Final = "Shot/Ended"
CYCLE_COUNTER: Final = "Shot/CycleCounter"
JOB_NAME: Final = "Shot/JobName"
MOULD_ID: Final = "Shot/MouldId"
MATERIAL: Final = "Shot/Material"
PRODUCT_NAME: Final = "Shot/ProductName"
CAVITIES: Final = "Shot/Cavities"
DATASET_NAME: Final = "Dataset/Name"
DATASET_DESCRIPTION: Final = "Dataset/Description"
MOULD_DESCRIPTION: Final = "Dataset/MouldDescription"
DATASET_TEXTS: Final = frozenset({DATASET_NAME, DATASET_DESCRIPTION, MOULD_DESCRIPTION})
SAMPLE_INTERVAL: Final = "Shot/SampleInterval"
BUNDLE: Final = "Models/Bundle"
QUALITY_CLASS: Final = "Models/QualityClass"
FEATURES: Final = "Features/Vector"
FEATURES_HASH: Final = "Features/Hash"
REASON_FEATURES: Final = "Reasons/Features"
REASON_VALUES: Final = "Reasons/Values"
REASON_SIGMAS: Final = "Reasons/Sigmas"
PARAMETER_PREFIX: Final = "Parameters/"
SET_POINT_PREFIX: Final = "SetPoints/"
SCORE_PREFIX: Final = "Scores/"
CURVE_PREFIX: Final = "Curves/"
PREFIXES: Final = (PARAMETER_PREFIX, SET_POINT_PREFIX, SCORE_PREFIX, CURVE_PREFIX)
"""Of the groups of metrics whose names are open-ended."""

GAP_LINES_MAX: Final = 20_000
GAP_SHOTS_MAX: Final = 10**12
"""No gap record tells of more shots or ids, in one line or in all: what is more is nonsense, and would not add up."""
AliasOf = Callable[[str, DataType], int]
"""Gives the alias of a metric name of this press, whose datatype never changes."""


class WireError(ZhisanError):
    """A record that cannot be read; it names the metric. The host keeps the message and goes on."""


@dataclass(frozen=True, slots=True)
class GapRecord:
    """A record without content: shots that its gateway gave up or never had.

    It stands for all ids from `record_id` to `last_id`; `lines` say whose shots they were, how many, when and why.
    """

    epoch: str
    record_id: int
    last_id: int
    ended_ms: int
    reason: str
    lines: tuple[GapLine, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ShotRecord:
    """A record with its shot; `curves_dropped` says why its gateway gave up the curves, empty when it did not."""

    epoch: str
    record_id: int
    scored: ScoredShot
    curves_dropped: str = ""


def unit_of(metric: str) -> str:
    """The unit of a metric's value, empty when it has none: for the birth's `engUnit` property."""
    if metric.startswith(PARAMETER_PREFIX):
        return PARAMETERS[metric.removeprefix(PARAMETER_PREFIX)].unit
    if metric.startswith(SET_POINT_PREFIX):
        return PARAMETERS[metric.removeprefix(SET_POINT_PREFIX)].unit
    if metric.startswith(CURVE_PREFIX):
        return SIGNALS[metric.removeprefix(CURVE_PREFIX)].unit
    return "s" if metric == SAMPLE_INTERVAL else ""


def body_metrics(scored: ScoredShot, alias_of: AliasOf) -> list[Metric]:
    """All of a record but its head and its curves."""
    shot, scores = scored.shot, scored.scores
    values: list[tuple[str, DataType, Any]] = [
        (ENDED, DataType.DateTime, shot.ended_ms),
        (JOB_NAME, DataType.String, shot.job_name),
        (MOULD_ID, DataType.String, shot.mould_id),
        (BUNDLE, DataType.String, scores.bundle_id),
        (FEATURES_HASH, DataType.String, scored.features_hash),
        (FEATURES, DataType.FloatArray, scored.features),
    ]
    if shot.cycle_counter is not None:
        values.append((CYCLE_COUNTER, DataType.UInt64, shot.cycle_counter))
    if shot.curves:
        values.append((SAMPLE_INTERVAL, DataType.Double, shot.sample_interval_s))
    if scores.quality_class is not None:
        values.append((QUALITY_CLASS, DataType.String, scores.quality_class))
    if scores.reasons:
        values.append((REASON_FEATURES, DataType.StringArray, [reason.feature for reason in scores.reasons]))
        values.append((REASON_VALUES, DataType.DoubleArray, [reason.value for reason in scores.reasons]))
        values.append((REASON_SIGMAS, DataType.DoubleArray, [reason.sigma for reason in scores.reasons]))
    values += [(PARAMETER_PREFIX + name, DataType.Double, value) for name, value in shot.parameters.items()]
    values += [(SCORE_PREFIX + name, DataType.Double, value) for name, value in scores.values.items()]
    values += _of_job(shot)
    if shot.dataset is not NOT_TOLD:
        values += _of_dataset(shot.dataset)
    return [_metric(name, value, datatype, shot.ended_ms, alias_of) for name, datatype, value in values]


def _of_job(shot: Shot) -> list[tuple[str, DataType, Any]]:
    """What a press may tell of its job, and need not."""
    told: list[tuple[str, DataType, Any]] = []
    if shot.material:
        told.append((MATERIAL, DataType.String, shot.material))
    if shot.product_name:
        told.append((PRODUCT_NAME, DataType.String, shot.product_name))
    if shot.cavities is not None:
        told.append((CAVITIES, DataType.UInt32, shot.cavities))
    return told


def _of_dataset(dataset: ProductionDataset) -> list[tuple[str, DataType, Any]]:
    """What a press may tell of what it is set to, and need not."""
    texts = {
        DATASET_NAME: dataset.name,
        DATASET_DESCRIPTION: dataset.description,
        MOULD_DESCRIPTION: dataset.mould_description,
    }
    told: list[tuple[str, DataType, Any]] = [(name, DataType.String, text) for name, text in texts.items() if text]
    return told + [(SET_POINT_PREFIX + name, DataType.Double, value) for name, value in dataset.set_points]


def curve_metrics(shot: Shot, alias_of: AliasOf) -> list[Metric]:
    """The curves of a record, apart so that a full journal can give them up alone."""
    return [
        _metric(CURVE_PREFIX + signal, samples, DataType.FloatArray, shot.ended_ms, alias_of)
        for signal, samples in shot.curves.items()
    ]


def gap_metrics(
    ended_ms: int, reason: str, alias_of: AliasOf, *, lines: Sequence[GapLine] = (), last_id: int | None = None
) -> list[Metric]:
    """What is left of records that were given up, but the head.

    Without `lines` it is one shot of the press it is sent for; without `last_id` the id is its own alone.
    """
    values: list[tuple[str, DataType, Any]] = [(ENDED, DataType.DateTime, ended_ms), (GAP, DataType.String, reason)]
    if last_id is not None:
        values.append((LAST_ID, DataType.UInt64, last_id))
    if lines:
        values += [
            (GAP_PRESSES, DataType.StringArray, [line.press_id for line in lines]),
            (GAP_REASONS, DataType.StringArray, [line.reason for line in lines]),
            (GAP_COUNTS, DataType.UInt64Array, np.array([line.count for line in lines], np.uint64)),
            (GAP_FROM, DataType.DateTimeArray, np.array([line.from_ms for line in lines], np.uint64)),
            (GAP_TO, DataType.DateTimeArray, np.array([line.to_ms for line in lines], np.uint64)),
        ]
    return [_metric(name, value, datatype, ended_ms, alias_of) for name, datatype, value in values]


def curves_dropped_metrics(ended_ms: int, reason: str, alias_of: AliasOf) -> list[Metric]:
    """What stands in a record in place of curves that were given up."""
    return [_metric(CURVES_DROPPED, reason, DataType.String, ended_ms, alias_of)]


def head_metrics(epoch: str, record_id: int, ended_ms: int, alias_of: AliasOf) -> list[Metric]:
    """Which record it is: the id, known only once the journal has it, and the epoch, which a journal may renew."""
    return [
        _metric(JOURNAL_ID, record_id, DataType.UInt64, ended_ms, alias_of),
        _metric(commit.EPOCH, epoch, DataType.UUID, ended_ms, alias_of),
    ]


def _metric(name: str, value: object, datatype: DataType, ended_ms: int, alias_of: AliasOf) -> Metric:
    return Metric(None, value, datatype, alias=alias_of(name, datatype), timestamp_ms=ended_ms)


def record_of(press_id: str, metrics: Iterable[Metric]) -> ShotRecord | GapRecord | None:
    """The record in a press's DDATA, names resolved; None when it carries no journal id (another maker's edge node).

    Raises:
        WireError: a metric that every record has is missing, or a value is of another type or beyond its bound.
    """
    values, groups = _sorted_out(metrics)
    if JOURNAL_ID not in values:
        return None
    record_id, epoch = _int(values, JOURNAL_ID), _text(values, commit.EPOCH)
    if record_id < commit.FIRST_RECORD_ID or not epoch:
        raise WireError(f"{JOURNAL_ID} {record_id} of epoch {epoch!r} is no record")
    ended_ms = _int(values, ENDED)
    if values.get(GAP) is not None:
        return _gap(press_id, epoch, record_id, ended_ms, values)
    shot = Shot(
        press_id=press_id,
        ended_ms=ended_ms,
        parameters=_numbers(groups[PARAMETER_PREFIX], PARAMETER_PREFIX),
        curves=_curves(groups[CURVE_PREFIX]),
        sample_interval_s=_float(values, SAMPLE_INTERVAL) if values.get(SAMPLE_INTERVAL) is not None else 0.0,
        cycle_counter=_int(values, CYCLE_COUNTER) if values.get(CYCLE_COUNTER) is not None else None,
        job_name=_text(values, JOB_NAME),
        mould_id=_text(values, MOULD_ID),
        material=_told(values, MATERIAL),
        product_name=_told(values, PRODUCT_NAME),
        cavities=_cavities(values),
        dataset=_dataset(values, groups[SET_POINT_PREFIX]),
    )
    scores = Scores(
        bundle_id=_text(values, BUNDLE),
        values=_numbers(groups[SCORE_PREFIX], SCORE_PREFIX),
        quality_class=_text(values, QUALITY_CLASS) if values.get(QUALITY_CLASS) is not None else None,
        reasons=_reasons(values),
    )
    features = _array(values, FEATURES)
    curves_dropped = _text(values, CURVES_DROPPED) if values.get(CURVES_DROPPED) is not None else ""
    scored = ScoredShot(shot, features, _text(values, FEATURES_HASH), scores)
    return ShotRecord(epoch, record_id, scored, curves_dropped)


def _gap(press_id: str, epoch: str, record_id: int, ended_ms: int, values: Mapping[str, Any]) -> GapRecord:
    reason = _text(values, GAP)
    last_id = last_id_of(values, record_id)
    if values.get(GAP_PRESSES) is None:
        line = GapLine(press_id, reason, last_id - record_id + 1, ended_ms, ended_ms)
        return GapRecord(epoch, record_id, last_id, ended_ms, reason, (line,))
    parts = [values.get(name) for name in (GAP_PRESSES, GAP_REASONS, GAP_COUNTS, GAP_FROM, GAP_TO)]
    presses, reasons, counts, begins, ends = ([] if part is None else list(part) for part in parts)
    if not 0 < len(presses) == len(reasons) == len(counts) == len(begins) == len(ends) <= GAP_LINES_MAX:
        raise WireError(f"{GAP_PRESSES} and its companions differ in length, or have more than {GAP_LINES_MAX} lines")
    rows = zip(presses, reasons, counts, begins, ends, strict=True)
    lines = tuple(GapLine(str(press), str(why), int(n), int(begin), int(end)) for press, why, n, begin, end in rows)
    if any(not line.press_id or not line.reason or line.count < 1 or line.from_ms > line.to_ms for line in lines):
        raise WireError(f"{GAP_PRESSES} has a line without press, reason or shots, or that ends before it begins")
    if sum(line.count for line in lines) > GAP_SHOTS_MAX or max(line.to_ms for line in lines) >= 2**63:
        raise WireError(f"{GAP_COUNTS} come to more than {GAP_SHOTS_MAX}, or {GAP_TO} is beyond all time")
    return GapRecord(epoch, record_id, last_id, ended_ms, reason, lines)


def last_id_of(values: Mapping[str, Any], record_id: int) -> int:
    """The last id that a record stands for: its own where nothing else is said.

    Raises:
        WireError: it ends before it begins, or is beyond all bounds.
    """
    if values.get(LAST_ID) is None:
        return record_id
    last_id = _int(values, LAST_ID)
    if not 0 <= last_id - record_id < GAP_SHOTS_MAX:
        raise WireError(f"{LAST_ID} is {last_id}, the record begins at {record_id}")
    return last_id


def _sorted_out(metrics: Iterable[Metric]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Values by name; those of the open-ended groups apart, by the name behind the prefix."""
    values: dict[str, Any] = {}
    groups: dict[str, dict[str, Any]] = {prefix: {} for prefix in PREFIXES}
    for metric in metrics:
        name = metric[0] or ""
        prefix, slash, rest = name.partition("/")
        group = groups.get(prefix + slash)
        if group is None:
            values[name] = metric[1]
        else:
            group[rest] = metric[1]
    return values, groups


def _int(values: Mapping[str, Any], name: str) -> int:
    value = values.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise WireError(f"{name} is {value!r}, not an integer")
    return value


def _float(values: Mapping[str, Any], name: str) -> float:
    value = values.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise WireError(f"{name} is {value!r}, not a number")
    return float(value)


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    if not isinstance(value, str):
        raise WireError(f"{name} is {value!r}, not a text")
    return value


def _told(values: Mapping[str, Any], name: str) -> str:
    """A text that a record need not have."""
    if values.get(name) is None:
        return ""
    text = _text(values, name)
    if len(text) > PRODUCT_CHARACTERS_MAX:
        raise WireError(f"{name} has {len(text)} characters: at most {PRODUCT_CHARACTERS_MAX}")
    return text


def _cavities(values: Mapping[str, Any]) -> int | None:
    if values.get(CAVITIES) is None:
        return None
    cavities = _int(values, CAVITIES)
    if not 0 < cavities <= CAVITIES_MAX:
        raise WireError(f"{CAVITIES} is {cavities}, not 1 to {CAVITIES_MAX}")
    return cavities


def _dataset(values: Mapping[str, Any], set_points: Mapping[str, Any]) -> ProductionDataset:
    """What the press said that it is set to; a set value that is no number is not told."""
    if not set_points and DATASET_TEXTS.isdisjoint(values):
        return NOT_TOLD
    if len(set_points) > SET_POINTS_MAX:
        raise WireError(f"{len(set_points)} metrics under {SET_POINT_PREFIX}: at most {SET_POINTS_MAX}")
    numbers = _numbers(set_points, SET_POINT_PREFIX)
    dataset = ProductionDataset(
        _told(values, DATASET_NAME),
        _told(values, DATASET_DESCRIPTION),
        _told(values, MOULD_DESCRIPTION),
        tuple(sorted((name, value) for name, value in numbers.items() if math.isfinite(value))),
    )
    return NOT_TOLD if dataset == NOT_TOLD else dataset


def _array(values: Mapping[str, Any], name: str) -> FloatArray:
    value = values.get(name)
    if not isinstance(value, np.ndarray) or value.dtype != np.float32 or len(value) > CURVE_SAMPLES_MAX:
        raise WireError(f"{name} is not a Float array of at most {CURVE_SAMPLES_MAX}")
    return value


def _numbers(group: Mapping[str, Any], prefix: str) -> dict[str, float]:
    if len(group) > PARAMETERS_MAX:
        raise WireError(f"{len(group)} metrics under {prefix}: at most {PARAMETERS_MAX}")
    return {name: value if type(value) is float else _number(value, prefix + name) for name, value in group.items()}


def _number(value: object, name: str) -> float:
    return math.nan if value is None else _float({name: value}, name)


def _curves(group: Mapping[str, Any]) -> dict[str, FloatArray]:
    return {signal: _array(group, signal) for signal, value in group.items() if value is not None}


def _reasons(values: Mapping[str, Any]) -> tuple[Reason, ...]:
    parts = [values.get(name) for name in (REASON_FEATURES, REASON_VALUES, REASON_SIGMAS)]
    features, numbers, sigmas = ([] if part is None else list(part) for part in parts)
    if not len(features) == len(numbers) == len(sigmas):
        raise WireError(f"{REASON_FEATURES}, {REASON_VALUES} and {REASON_SIGMAS} differ in length")
    return tuple(Reason(str(f), float(n), float(s)) for f, n, s in zip(features, numbers, sigmas, strict=True))
