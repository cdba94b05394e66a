"""The shot: what one cycle left behind, before and after it is scored."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

CURVE_SAMPLES_MAX = 20_000
PARAMETERS_MAX = 200
PRODUCT_CHARACTERS_MAX = 256
"""Of a shot's material, of its product, and of each text of its production dataset."""
CAVITIES_MAX = 1_000
SET_POINTS_MAX = 100


@dataclass(frozen=True, slots=True)
class ProductionDataset:
    """What a press is set to, by its own words: empty for what it does not tell.

    `set_points` are the set values of parameters, by their names in the vocabulary and in its units, in the order of
    their names.
    """

    name: str = ""
    description: str = ""
    mould_description: str = ""
    set_points: tuple[tuple[str, float], ...] = ()


NOT_TOLD = ProductionDataset()
"""Of a press that tells nothing of what it is set to."""


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """The recorded data of one cycle of one press.

    `parameters` and `curves` are keyed by names of `contract.vocabulary`, in its units; what was not measured is
    absent, a reading that the press called bad is NaN. All curves share `sample_interval_s` and start with injection.
    `cycle_counter` is the press's own count where it has one: consecutive shots differ by one.
    `material`, `product_name` (several of either in one text) and `cavities` are of the job; empty or None: not told.
    `dataset` is what the press was set to when it reported the cycle.
    """

    press_id: str
    ended_ms: int
    parameters: Mapping[str, float]
    curves: Mapping[str, FloatArray] = field(default_factory=dict)
    sample_interval_s: float = 0.0
    cycle_counter: int | None = None
    job_name: str = ""
    mould_id: str = ""
    material: str = ""
    product_name: str = ""
    cavities: int | None = None
    dataset: ProductionDataset = NOT_TOLD


@dataclass(frozen=True, slots=True)
class Reason:
    """One feature that moved: its value and its distance from this press's normal, in standard deviations."""

    feature: str
    value: float
    sigma: float


@dataclass(frozen=True, slots=True)
class Scores:
    """What the models say of one shot.

    `values` is keyed `FailureProbability/<mode>` (0..1), `Novelty/T2`, `Novelty/SPE` (both as a multiple of their
    limit: above 1 is unusual) and `QualityProbability/<class>` (0..1). A head that does not apply to a shot, or
    abstains, has no key. `bundle_id` names the bundle that spoke.
    """

    bundle_id: str
    values: Mapping[str, float] = field(default_factory=dict)
    quality_class: str | None = None
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class ScoredShot:
    """A shot with its feature vector (`features`, float32, order of the schema `features_hash`) and its scores."""

    shot: Shot
    features: FloatArray
    features_hash: str
    scores: Scores
