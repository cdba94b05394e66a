"""Who scores which press: a value that is made whole in the background and put in place in one step. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from contract.model_orders import Assignment, Bounds, Desired
from edge_agent.models.loaded import LoadedBundle


@dataclass(frozen=True, slots=True, eq=False)
class Lineup:
    """An order as far as it could be carried out.

    `own` is the bundle of the gateway's settings; `kept` and `kept_default` scored before this order and go on where
    its champion was refused or taken back.
    """

    own: LoadedBundle | None = None
    order: Desired | None = None
    loaded: Mapping[str, LoadedBundle] = field(default_factory=dict)
    kept: Mapping[str, LoadedBundle | None] = field(default_factory=dict)
    kept_default: LoadedBundle | None = None
    taken_back: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """By press: the bundle that was taken back there, and why."""

    @property
    def revision(self) -> int:
        """Of the order; 0 without one."""
        return self.order.revision if self.order is not None else 0

    @property
    def bounds(self) -> Bounds:
        """Of the order."""
        return self.order.bounds if self.order is not None else Bounds()

    def assignment(self, press_id: str) -> Assignment:
        """What was ordered for a press."""
        return self.order.assignment(press_id) if self.order is not None else Assignment()

    def champion(self, press_id: str) -> LoadedBundle | None:
        """What scores a press, alarms included."""
        wanted = self.assignment(press_id).champion
        if wanted is None:
            return self.own
        if press_id not in self.taken_back and wanted in self.loaded:
            return self.loaded[wanted]
        return self.fallback(press_id)

    def fallback(self, press_id: str) -> LoadedBundle | None:
        """What scores a press when its champion may not, or cannot: what the order names beside it, or what did before.

        Never the champion itself.
        """
        assignment = self.assignment(press_id)
        for one in (self.loaded.get(assignment.shadow or ""), self.kept.get(press_id), self.kept_default, self.own):
            if one is not None and one.bundle_id != assignment.champion:
                return one
        return None

    def shadow(self, press_id: str) -> LoadedBundle | None:
        """What is scored beside the champion; None when that is the champion already."""
        found = self.loaded.get(self.assignment(press_id).shadow or "")
        champion = self.champion(press_id)
        return None if found is None or (champion is not None and found is champion) else found

    def is_guarded(self, press_id: str) -> bool:
        """Whether the gateway looks after the champion of this press itself."""
        return self.assignment(press_id).is_guarded and press_id not in self.taken_back

    def without(self, press_id: str, why: str) -> "Lineup":
        """The champion of a press taken back; a new order may bring it again."""
        bundle_id = self.assignment(press_id).champion or ""
        return replace(self, taken_back={**self.taken_back, press_id: (bundle_id, why)})


def following(
    before: Lineup,
    order: Desired,
    loaded: Mapping[str, LoadedBundle],
    presses: Iterable[str],
    is_trusted: Callable[[LoadedBundle], bool] = lambda _: True,
) -> Lineup:
    """The line-up of a new order; on `presses`, those that were seen, what scored before is kept for need.

    A press whose assignment stays keeps what it had for need, and what was taken back there stays taken back. What is
    no longer trusted is not kept: the gateway's own bundle stands in for it.
    """

    def stays(press_id: str) -> bool:
        return before.order is not None and order.assignment(press_id) == before.assignment(press_id)

    def kept(press_id: str) -> LoadedBundle | None:
        one = before.kept.get(press_id, before.kept_default) if stays(press_id) else before.champion(press_id)
        return one if one is None or is_trusted(one) else before.own

    return Lineup(
        own=before.own,
        order=order,
        loaded=dict(loaded),
        kept={press_id: kept(press_id) for press_id in presses},
        kept_default=kept(""),
        taken_back={press_id: what for press_id, what in before.taken_back.items() if stays(press_id)},
    )
