"""Takes orders from the cloud, brings the bundles here, puts a new line-up in place, and tells what came of it."""

import math
import random
from collections.abc import Callable, Iterable
from typing import Final, Literal

import anyio
import structlog
from anyio import to_thread

from contract import model_orders
from contract.model_orders import (
    REASON_CHARACTERS_MAX,
    BundleFile,
    BundleReport,
    Desired,
    ModelOrderError,
    PressReport,
    Report,
)
from contract.shot_wire import BUNDLE
from contract.sparkplug.codec import Metric
from contract.sparkplug.datatypes import DataType
from edge_agent.identity.cloud_calls import CloudAddress
from edge_agent.identity.files import IdentityError
from edge_agent.models.download import DownloadError, download
from edge_agent.models.folder import BundleFolder, State
from edge_agent.models.lineup import Lineup, following
from edge_agent.models.loaded import LoadedBundle, load
from edge_agent.models.roster import SHADOW_BATCH_MAX, Roster
from models.features.schema import FEATURES_HASH
from models.runtime.bundle import BundleError
from models.runtime.keys import KeyFileError, TrustList

RETRY_S_MIN, RETRY_S_MAX = 2.0, 300.0
SHADOW_PAUSE_S: Final = 0.05
"""How long the shadows' thread rests when nothing waits for it."""
FIGURES_EVERY_S: Final = 5.0
log = structlog.get_logger()

Trust = Callable[[], TrustList | None]
"""The trusted keys as they lie on disk now; None where signatures are not asked for."""
FindCloud = Callable[[], CloudAddress | None]
"""Where bundles are fetched; None when nobody has said so."""
Fetch = Callable[[CloudAddress, BundleFile, BundleFolder], int]


class ModelDesk:
    """One task: it is always on its way to the newest order; presses run on the old line-up meanwhile.

    `tell` asks for the report to be sent soon.
    """

    def __init__(
        self,
        roster: Roster,
        folder: BundleFolder,
        trust: Trust,
        find_cloud: FindCloud,
        tell: Callable[[], None],
        randomness: random.Random,
        *,
        fetch: Fetch = download,
    ) -> None:
        self._roster = roster
        self._folder = folder
        self._trust = trust
        self._find_cloud = find_cloud
        self._tell = tell
        self._randomness = randomness
        self._fetch = fetch
        self._order = roster.lineup.order
        self._bundles: dict[str, BundleReport] = {}
        self._tried_revision = 0
        self._wake = anyio.Event()
        self._worker, self._shadow = anyio.CapacityLimiter(1), anyio.CapacityLimiter(1)
        self._saved = State()
        self._presses: dict[str, PressReport] = {}
        self._relearnt: dict[str, int] = {}

    def restore(self) -> None:
        """Go on with what was ordered before a restart, as far as the bundles are here and good; blocking."""
        state = self._folder.state()
        if state.order is None:
            return
        loaded: dict[str, LoadedBundle] = {}
        for bundle_id in sorted((state.order.bundle_ids() | set(state.running.values())) - {""}):
            if self._folder.file_of(bundle_id).exists() and (one := self._load(state.order, bundle_id)) is not None:
                loaded[bundle_id] = one
        own = self._roster.lineup.own
        kept = {press_id: loaded.get(bundle_id, own) for press_id, bundle_id in state.running.items()}
        lineup = Lineup(own, state.order, loaded, kept, kept.get("", own), state.taken_back)
        self._roster.replace(lambda _: lineup)
        self._order, self._saved, self._tried_revision = state.order, state, state.order.revision
        self._relearnt = dict(state.relearnt)
        self._bundles |= {bundle_id: BundleReport(state="loaded") for bundle_id in loaded}
        log.info("models_restored", revision=state.order.revision, loaded=sorted(loaded))

    def ordered(self, metrics: Iterable[Metric]) -> None:
        """Take a command from the cloud; one that is about something else, or older, changes nothing."""
        try:
            order = model_orders.desired_of(metrics)
        except ModelOrderError as error:
            log.warning("model_order_refused", error=str(error))
            return
        if order is None:
            return
        if self._order is not None and order.revision < self._order.revision:
            log.warning("model_order_old", revision=order.revision, current=self._order.revision)
            return
        self._order = order  # the same revision again brings fresh tokens
        self._wake.set()

    def metrics(self) -> list[Metric]:
        """What a birth and each health report tell: the bundle that scores by default, and the report."""
        lineup = self._roster.lineup
        default = lineup.champion("")
        report = Report(
            revision=lineup.revision,
            own_bundle=lineup.own.bundle_id if lineup.own is not None else "",
            features_hash=FEATURES_HASH,
            tried_revision=self._tried_revision,
            bundles=dict(self._bundles),
            presses=self._presses,
        )
        name = default.bundle_id if default is not None else ""
        return [
            Metric(BUNDLE, name, DataType.String),
            Metric(
                model_orders.DESIRED, str(lineup.revision), DataType.String
            ),  # what a host may write is in the birth
            model_orders.to_metric(report),
        ]

    async def run(self) -> None:
        """Serve until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._score_shadows, name="models.shadows")
            tasks.start_soon(self._sum_up, name="models.figures")
            tries = 0
            while True:
                self._wake = anyio.Event()
                is_done = await self._step()
                tries = 0 if is_done else tries + 1
                with anyio.move_on_after(math.inf if is_done else self._pause_s(tries)):
                    await self._wake.wait()

    def _pause_s(self, tries: int) -> float:
        """Doubling from two seconds to five minutes, spread by half: a plant's gateways do not come in step."""
        return min(RETRY_S_MAX, RETRY_S_MIN * 2.0 ** min(tries, 10)) * (0.5 + 0.5 * self._randomness.random())

    async def _score_shadows(self) -> None:
        version = self._roster.version
        while True:
            count = await to_thread.run_sync(self._roster.score_shadows, limiter=self._shadow)
            if version != self._roster.version:  # a champion was taken back: that is kept and told
                version = self._roster.version
                self._wake.set()
            if count < SHADOW_BATCH_MAX:
                await anyio.sleep(SHADOW_PAUSE_S)

    async def _sum_up(self) -> None:
        while True:
            self._presses = await to_thread.run_sync(self._roster.reports, limiter=self._shadow)
            await anyio.sleep(FIGURES_EVERY_S)

    async def _step(self) -> bool:
        """Towards the order; False when something has to be tried again."""
        order = self._order
        if order is None:
            return True
        if self._roster.lineup.revision != order.revision:
            self._relearn(order)  # a repair waits for no download
            loaded = await self._bring(order)
            if order is not self._order:
                self._wake.set()
                return True
            if loaded is None:
                self._tell()
                return False
            before, seen = self._roster.lineup.revision, self._roster.seen
            self._roster.replace(lambda old: following(old, order, loaded, seen, self._is_trusted(order)))
            log.info("lineup_replaced", revision=order.revision, before=before, loaded=sorted(loaded))
        self._presses = await to_thread.run_sync(self._roster.reports, limiter=self._worker)
        self._tell()
        try:
            await to_thread.run_sync(self._save, limiter=self._worker)
        except OSError as error:
            log.error("model_state_not_saved", error=str(error))
            return False
        return True

    def _relearn(self, order: Desired) -> None:
        """Each repair once: an order tells the last one of a press again and again."""
        for press_id, at_ms in order.relearn.items():
            if at_ms > self._relearnt.get(press_id, 0):
                self._relearnt[press_id] = at_ms
                self._roster.relearn(press_id)
                log.info("baseline_begins_anew", press_id=press_id, repaired_ms=at_ms)

    def _save(self) -> None:
        lineup = self._roster.lineup
        kept = {**lineup.kept, "": lineup.kept_default}
        running = {
            press_id: one.bundle_id for press_id, one in kept.items() if one is not None and one is not lineup.own
        }
        taken_back, relearnt = dict(lineup.taken_back), dict(self._relearnt)
        state = State(order=lineup.order, running=running, taken_back=taken_back, relearnt=relearnt)
        if state != self._saved:
            self._folder.save(state)
            self._saved = state
        if lineup.order is not None:
            self._folder.keep_only(lineup.order.bundle_ids() | set(running.values()))

    async def _bring(self, order: Desired) -> dict[str, LoadedBundle] | None:
        """Every bundle of the order that is good, by id; None when one could not be fetched yet."""
        lineup, is_trusted = self._roster.lineup, self._is_trusted(order)
        found: dict[str, LoadedBundle] = {}
        self._bundles = {file.bundle_id: BundleReport(state="waiting") for file in order.files}
        self._tried_revision = order.revision
        for file in order.files:
            one = lineup.loaded.get(file.bundle_id)
            if one is None or not is_trusted(one):
                one = await self._bring_one(order, file)
            if one is not None:
                found[file.bundle_id] = one
                self._bundles[file.bundle_id] = BundleReport(state="loaded")
        return None if any(report.state == "waiting" for report in self._bundles.values()) else found

    async def _bring_one(self, order: Desired, file: BundleFile) -> LoadedBundle | None:
        try:
            await to_thread.run_sync(self._fetch_once, file, limiter=self._worker)
        except DownloadError as error:
            state: Literal["refused", "waiting"] = "refused" if error.is_final else "waiting"
            self._bundles[file.bundle_id] = BundleReport(state=state, reason=str(error)[:REASON_CHARACTERS_MAX])
            log.warning("bundle_not_fetched", bundle_id=file.bundle_id, error=str(error), is_final=error.is_final)
            return None
        return await to_thread.run_sync(self._load, order, file.bundle_id, limiter=self._worker)

    def _fetch_once(self, file: BundleFile) -> None:
        if self._folder.has(file):
            return
        try:
            cloud = self._find_cloud()
        except IdentityError as error:
            raise DownloadError(str(error), is_final=True) from error
        if cloud is None:
            raise DownloadError("no cloud is known here: set models.cloud_url, or claim the gateway", is_final=True)
        came = self._fetch(cloud, file, self._folder)
        log.info("bundle_fetched", bundle_id=file.bundle_id, size_bytes=file.size_bytes, came_bytes=came)

    def _load(self, order: Desired, bundle_id: str) -> LoadedBundle | None:
        path = self._folder.file_of(bundle_id)
        reason = ""
        try:
            trust = self._trust()
            one = load(path, trust.without(order.revoked_keys) if trust is not None else None)
            if one.bundle_id == bundle_id:
                return one
            reason = f"is bundle {one.bundle_id}, not the one that was ordered"
        except BundleError as error:
            reason = error.reason
        except KeyFileError as error:
            reason = f"cannot be judged: {error}"
        self._bundles[bundle_id] = BundleReport(state="refused", reason=reason[:REASON_CHARACTERS_MAX])
        log.error("bundle_refused", bundle_id=bundle_id, reason=reason)
        return None

    def _is_trusted(self, order: Desired) -> Callable[[LoadedBundle], bool]:
        return lambda one: one.signed_by not in order.revoked_keys
