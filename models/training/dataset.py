"""Labelled shots as a matrix, and its split by press: features in the schema's order, float32 as on the gateway."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from contract.shot import Shot
from models.features.extract import extract
from models.features.resample import resample
from models.features.schema import index

HEALTHY = "healthy"
CALIBRATING_SHARE, TESTING_SHARE = 0.25, 0.25
Matrix = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """`features` (n, F) float32, NaN where missing; the rest (n,): HEALTHY or a failure mode, press, mould."""

    features: Matrix
    labels: npt.NDArray[np.str_]
    presses: npt.NDArray[np.str_]
    moulds: npt.NDArray[np.str_]

    def columns(self, names: Iterable[str]) -> Matrix:
        """The features of these names, in their order."""
        return self.features[:, [index(name) for name in names]]


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Rows to learn from, to calibrate and set limits with, and to judge by; no press is in two of them."""

    learning: Mask
    calibrating: Mask
    testing: Mask


def dataset_of(labelled: Iterable[tuple[Shot, str]]) -> Dataset:
    """Features of shots with their labels, by the same functions as on the gateway."""
    rows = [(extract(resample(shot)), label, shot.press_id, shot.mould_id) for shot, label in labelled]
    vectors, labels, presses, moulds = zip(*rows, strict=True)
    return Dataset(np.stack(vectors), np.array(labels), np.array(presses), np.array(moulds))


def split_by_press(data: Dataset, *, seed: int) -> Split:
    """Half of the presses to learn from, a quarter each to calibrate and to test."""
    presses = np.unique(data.presses)
    np.random.default_rng(seed).shuffle(presses)
    calibrating_end = round(CALIBRATING_SHARE * len(presses))
    testing_end = calibrating_end + round(TESTING_SHARE * len(presses))
    calibrating = np.isin(data.presses, presses[:calibrating_end])
    testing = np.isin(data.presses, presses[calibrating_end:testing_end])
    return Split(~calibrating & ~testing, calibrating, testing)
