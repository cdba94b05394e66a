"""Pairwise judgements of the dimensions in a form: one choice for each pair, on Saaty's scale. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cloud.core.problems import InvalidFieldError
from cloud.tiering.dimensions import DIMENSIONS

SCALE: Final = {**{f"1/{at}": 1 / at for at in range(9, 1, -1)}, **{str(at): float(at) for at in range(1, 10)}}
"""What may be chosen, from the second being far more important to the first being so."""
NEAR: Final = 0.01


@dataclass(frozen=True, slots=True)
class Pair:
    """A judgement: how much more important the first dimension is than the second."""

    name: str
    first: str
    second: str
    chosen: str


def pairs(matrix: Sequence[Sequence[float]]) -> list[Pair]:
    """The judgements above the diagonal; a value beside the scale is shown as it is."""
    return [
        Pair(f"pair_{row}_{column}", DIMENSIONS[row], DIMENSIONS[column], _chosen(matrix[row][column]))
        for row in range(len(DIMENSIONS))
        for column in range(row + 1, len(DIMENSIONS))
    ]


def matrix_of(told: Mapping[str, object]) -> list[list[float]]:
    """The whole matrix from the judgements of a form.

    Raises:
        InvalidFieldError: one of them is missing, or no number of 1/9 to 9.
    """
    count = len(DIMENSIONS)
    matrix = [[1.0] * count for _ in range(count)]
    for row in range(count):
        for column in range(row + 1, count):
            value = _value(str(told.get(f"pair_{row}_{column}", "")))
            matrix[row][column], matrix[column][row] = value, 1 / value
    return matrix


def _value(text: str) -> float:
    if text in SCALE:
        return SCALE[text]
    try:
        value = float(text)
    except ValueError as error:
        raise InvalidFieldError("body.pairwise", "every judgement must be chosen") from error
    if not 1 / 9 - NEAR <= value <= 9:
        raise InvalidFieldError("body.pairwise", "every judgement must be 1/9 to 9")
    return value


def _chosen(value: float) -> str:
    return next((text for text, each in SCALE.items() if abs(each - value) < NEAR), f"{value:.6g}")
