"""Which bundle scores which press: the cloud's order to a gateway, and the gateway's report.

Both travel as one JSON text in a metric: the order in an NCMD (`Models/Desired`), repeated until a report says that it
was taken; the report in NBIRTH and NDATA (`Models/Report`). Other hosts and edge nodes ignore both.
"""

from collections.abc import Iterable
from typing import Annotated, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from contract.sparkplug.codec import Metric
from contract.sparkplug.datatypes import DataType
from kit.errors import ZhisanError

DESIRED: Final = "Models/Desired"
REPORT: Final = "Models/Report"
JSON_CHARACTERS_MAX: Final = 256 * 1024
PRESSES_MAX: Final = 200
BUNDLES_MAX: Final = 8
REASON_CHARACTERS_MAX: Final = 300
TOKEN_HEADER: Final = "Zhisan-Bundle-Token"  # noqa: S105 - a header's name

BundleId = Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
State = Literal["waiting", "loaded", "refused"]
Message = TypeVar("Message", bound=BaseModel)


class ModelOrderError(ZhisanError):
    """An order or a report that makes no sense; the message names the key."""


class _Part(BaseModel):
    """Unknown keys are ignored: a newer cloud may say more."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Assignment(_Part):
    """What scores a press. `champion` raises alarms and is None where the gateway's own bundle is to score."""

    champion: BundleId | None = None
    shadow: BundleId | None = Field(None, description="Scored beside the champion: for its figures alone.")
    is_guarded: bool = Field(False, description="Whether the gateway itself takes the champion back on bad figures.")


class Bounds(_Part):
    """What a bundle's figures must keep to while it is on trial; see models.registry.guards."""

    shots_min: int = Field(50, ge=1, description="Shots before anything but errors and latency is judged.")
    latency_p99_ms_max: float = Field(20.0, gt=0)
    error_share_max: float = Field(0.01, ge=0, le=1)
    silent_share_more_max: float = Field(
        0.2, ge=0, le=1, description="Shots without a score, beyond the other's share."
    )
    over_share_more_max: float = Field(0.1, ge=0, le=1, description="Shots over a threshold, beyond the other's share.")
    alarms_more_max: int = Field(2, ge=0, description="Alarms on one press, beyond the other's.")
    strange_share_max: float = Field(0.3, ge=0, le=1, description="Features beyond all that training has seen.")


class BundleFile(_Part):
    """Where a bundle is fetched; the address is below the cloud's own."""

    bundle_id: BundleId
    path: str = Field(pattern=r"^/[A-Za-z0-9/_.-]{1,200}$")
    size_bytes: int = Field(gt=0, le=64 * 2**20)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    token: str = Field("", max_length=500, description="Good for this gateway and file, for a short time.")


class Desired(_Part):
    """A gateway's whole order; a higher revision replaces a lower one."""

    revision: int = Field(ge=1)
    default: Assignment = Assignment()
    presses: dict[str, Assignment] = Field(default_factory=dict, max_length=PRESSES_MAX)
    files: tuple[BundleFile, ...] = Field((), max_length=BUNDLES_MAX)
    bounds: Bounds = Bounds()
    relearn: dict[str, int] = Field(
        default_factory=dict, max_length=PRESSES_MAX, description="By press, when it was last repaired (UTC ms)."
    )
    revoked_keys: tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")], ...] = Field((), max_length=100)

    @model_validator(mode="after")
    def _files_are_there(self) -> "Desired":
        listed = {file.bundle_id for file in self.files}
        if lacking := sorted(self.bundle_ids() - listed):
            raise ValueError(f"no file is named for bundle {', '.join(lacking)}")
        return self

    def assignment(self, press_id: str) -> Assignment:
        """What this press is to be scored by."""
        return self.presses.get(press_id, self.default)

    def bundle_ids(self) -> set[str]:
        """Every bundle that a press needs."""
        needed = [self.default, *self.presses.values()]
        return {bundle_id for one in needed for bundle_id in (one.champion, one.shadow) if bundle_id is not None}


class Figures(_Part):
    """How one bundle has done on one press since it began there."""

    shots: int = 0
    errors: int = Field(0, description="Shots on which it failed; the one before it has scored them.")
    silent: int = Field(0, description="Shots of which no head had a word.")
    over: int = Field(0, description="Shots over a threshold of the bundle.")
    alarms: int = Field(0, description="Rows of shots over a threshold that are long enough for an alarm.")
    dropped: int = Field(0, description="Shots that a shadow was too slow for.")
    latency_p50_ms: float = 0.0
    latency_p99_ms: float = 0.0
    drifted_share: float = Field(0.0, description="Share of the features that have moved more than is usual.")
    strange_share: float = Field(0.0, description="Share of those that lie beyond all that training has seen.")
    drift_worst: str = Field("", description="The feature that has moved most.")
    drift_psi: float = Field(0.0, description="Its population stability index.")
    missing: tuple[str, ...] = Field((), max_length=20, description="Features that training had and the press lacks.")
    mould_id: str = Field("", description="The mould of the newest shot: of it drift is told.")
    watched: int = Field(0, description="Features that are watched; 0: the bundle does not tell its training data.")
    watched_shots: int = Field(0, description="Shots with this mould so far; drift is told from 150 on.")
    drifted: dict[str, float] = Field(
        default_factory=dict, max_length=5, description="The features that have moved most, beyond what is usual."
    )
    drift_excess: float = Field(
        0.0, description="How many times as far as is usual the feature furthest beyond that has moved."
    )
    scores_watched: int = Field(0, description="Scores that are watched; 0: the bundle does not tell what they were.")
    score_shots: int = Field(0, description="Shots with this mould of which a head spoke.")
    scores_drifted_share: float = Field(0.0, description="Share of the scores whose level is beyond its bounds.")
    score_worst: str = Field("", description="The score that is nearest to a bound, or furthest beyond one.")
    score_times: float = Field(1.0, description="How many times its usual level it stands at.")
    scores_moved: dict[str, float] = Field(
        default_factory=dict,
        max_length=5,
        description="The scores furthest beyond their bounds: how many times its usual level each stands at.",
    )
    since_ms: dict[str, int] = Field(
        default_factory=dict,
        max_length=30,
        description="Of what is drifted or missing: the shot with which that was first seen (UTC ms).",
    )


class Noted(_Part):
    """What was odd about a baseline."""

    at_ms: int
    kind: str
    values: tuple[str, ...] = Field((), max_length=5)


class BaselineReport(_Part):
    """The press's own baseline with the mould that is in."""

    mould_id: str
    stage: str = Field(description="As in docs/reference/baselines.md.")
    then: str = Field("", description="While it settles: what comes next.")
    shots: int = Field(0, description="So many of `shots_needed` has the stage.")
    shots_needed: int = Field(0, description="0: the stage has no end of its own.")
    learnt_ms: int = Field(0, description="When its normal was found; 0: not yet.")
    is_again: bool = Field(False, description="Whether it learns anew what it had known: after maintenance.")
    notes: tuple[Noted, ...] = Field((), max_length=3, description="The last ones, oldest first.")


class PressReport(_Part):
    """What scores a press now, and how well."""

    champion: str = Field(description="Bundle that scores now; empty: none.")
    shadow: str = ""
    figures: dict[str, Figures] = Field(default_factory=dict, description="By bundle.")
    taken_back: str = Field("", description="Bundle that the gateway took back by itself.")
    taken_back_why: str = ""
    baseline: BaselineReport | None = None


class BundleReport(_Part):
    """A bundle of the order: waited for, loaded, or refused and why."""

    state: State
    reason: str = ""


class Report(_Part):
    """A gateway's answer: the revision that it follows and what came of it."""

    revision: int = Field(0, ge=0, description="0: no order yet.")
    own_bundle: str = ""
    features_hash: str = ""
    tried_revision: int = Field(
        0, ge=0, description="The order that `bundles` speaks of; ahead of `revision` at first."
    )
    bundles: dict[str, BundleReport] = Field(default_factory=dict)
    presses: dict[str, PressReport] = Field(default_factory=dict)


def to_metric(message: Desired | Report) -> Metric:
    """The message as a metric; of a report that would be too long, without the names of what drifts."""
    name = DESIRED if isinstance(message, Desired) else REPORT
    text = message.model_dump_json(exclude_defaults=True)
    if isinstance(message, Report) and len(text) > JSON_CHARACTERS_MAX:
        text = _without_names(message).model_dump_json(exclude_defaults=True)
    return Metric(name, text, DataType.String)


def _without_names(report: Report) -> Report:
    no_names: dict[str, object] = {"missing": (), "drifted": {}, "scores_moved": {}, "since_ms": {}}
    presses = {
        press_id: press.model_copy(
            update={
                "figures": {name: each.model_copy(update=no_names) for name, each in press.figures.items()},
                "baseline": press.baseline.model_copy(update={"notes": ()}) if press.baseline is not None else None,
            }
        )
        for press_id, press in report.presses.items()
    }
    return report.model_copy(update={"presses": presses})


def desired_of(metrics: Iterable[Metric]) -> Desired | None:
    """The order in an NCMD's metrics; None when the command is about something else.

    Raises:
        ModelOrderError: it is there and makes no sense.
    """
    for metric in metrics:
        if metric.name == DESIRED:
            return _read(Desired, metric.value)
    return None


def report_of(value: object) -> Report:
    """The report in the value of a metric `Models/Report`.

    Raises:
        ModelOrderError: it makes no sense.
    """
    return _read(Report, value)


def read_desired(text: str) -> Desired:
    """An order from the text that `model_dump_json` made.

    Raises:
        ModelOrderError: it makes no sense.
    """
    return _read(Desired, text)


def _read(kind: type[Message], value: object) -> Message:
    if not isinstance(value, str) or len(value) > JSON_CHARACTERS_MAX:
        raise ModelOrderError(f"{kind.__name__} is no text of at most {JSON_CHARACTERS_MAX} characters")
    try:
        return kind.model_validate_json(value)
    except ValidationError as error:
        first = error.errors()[0]
        raise ModelOrderError(f"{kind.__name__}: {'.'.join(map(str, first['loc']))} {first['msg']}") from error
