"""From evidence to ranks in one step: what a scoring run computes. Pure, vectorised."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from cloud.tiering.dimensions import Measured, measure
from cloud.tiering.evidence import EvidenceTable, Floats, Ints
from cloud.tiering.ranking import Scores, ranks, score
from cloud.tiering.scaling import Scale, scale_of, trusted

Method = Literal["weighted", "topsis"]


@dataclass(frozen=True, slots=True)
class Scored:
    """All customers scored on one day: everything that a score opens into.

    `trust` is how sure the whole score is: the confidences by weight.
    """

    measured: Measured
    scale: Scale
    scaled: Floats
    scores: Scores
    weights: Floats
    trust: Floats
    rank: Ints

    def score(self, method: Method) -> Floats:
        """The score that ranks."""
        return self.scores.weighted if method == "weighted" else self.scores.topsis


def rescore(table: EvidenceTable, today: int, weights: Floats, *, method: Method = "weighted") -> Scored:
    """Score and rank every customer of the table by what was known at the end of `today`."""
    return rescore_by(table, today, lambda _scaled: weights, method=method)


def rescore_by(
    table: EvidenceTable, today: int, weigh: Callable[[Floats], Floats], *, method: Method = "weighted"
) -> Scored:
    """The same with weights that may hang on the scaled values."""
    known = table.until(today)
    measured = measure(known, today)
    scale = scale_of(measured.raw)
    scaled = trusted(scale.scaled(measured.raw), measured.confidence)
    weights = weigh(scaled)
    scores = score(scaled, weights)
    rank = ranks(scores.weighted if method == "weighted" else scores.topsis, table.ids)
    return Scored(measured, scale, scaled, scores, weights, measured.confidence @ weights, rank)
