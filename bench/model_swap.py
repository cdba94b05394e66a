"""How long does a batch of shots wait while line-ups are replaced, and bundles are verified and loaded beside it?"""

import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from bench.report import tell, wants_json
from contract.model_orders import Assignment, BundleFile, Desired
from contract.shot import FloatArray, Shot
from deploy import build_bundle
from edge_agent.models.baselines import BaselineStore
from edge_agent.models.lineup import Lineup
from edge_agent.models.loaded import load
from edge_agent.models.roster import Roster
from models.features.extract import extract
from models.features.resample import resample
from models.runtime.bundle import BundleError, read_bundle, sign_bundle, write_bundle
from models.runtime.keys import load_private, make_key_pair, trust_list
from simulators.press.press import Press
from simulators.press.process import PP_CAP_4CAV

PRESSES, BATCHES, PAUSE_S = 4, 1_500, 0.002


def main() -> None:
    as_json = wants_json(__doc__ or "")
    with TemporaryDirectory() as folder:
        figures = _measure(Path(folder))
    tell(figures, as_json=as_json)


def _measure(folder: Path) -> dict[str, float | int | str]:
    paths = _two_signed_bundles(folder)
    trust = trust_list(folder)
    loaded = [load(path, trust) for path in paths]
    both = {one.bundle_id: one for one in loaded}
    roster = Roster(Lineup(own=loaded[0]), BaselineStore(folder / "baselines"))
    batches = _batches()
    waits_ms: list[float] = []
    unscored = 0
    is_over = threading.Event()

    def run() -> None:
        nonlocal unscored
        for shots, features in batches:
            started_s = time.perf_counter()
            found = roster.score(shots, features)
            waits_ms.append(1000 * (time.perf_counter() - started_s))
            unscored += sum(not one.bundle_id for one in found)
            time.sleep(PAUSE_S)
        is_over.set()

    presses = threading.Thread(target=run)
    presses.start()
    swaps = 0
    while not is_over.is_set():
        swaps += 1
        load(paths[swaps % 2], trust)
        lineup = Lineup(loaded[0], _order(swaps, loaded[swaps % 2].bundle_id), both)
        roster.replace(lambda _, lineup=lineup: lineup)  # type: ignore[misc]
        time.sleep(0.02)
    presses.join()
    p50_ms, p99_ms, max_ms = (float(value) for value in np.quantile(waits_ms, [0.5, 0.99, 1.0]))
    return {
        "shots": PRESSES * BATCHES,
        "swaps": swaps,
        "unscored": unscored,
        "p50_ms": p50_ms,
        "p99_ms": p99_ms,
        "max_ms": max_ms,
    }


def _two_signed_bundles(folder: Path) -> list[Path]:
    """The default bundle, or a quick one, and the same under another id."""
    make_key_pair(folder / "key.pem")
    try:
        bundle = read_bundle(build_bundle.OUT)
    except BundleError:  # none, or one of another version
        bundle = build_bundle.build(folder / "quick.zip", 1, build_bundle.QUICK)
    paths = []
    for number in range(2):
        path = folder / f"{number}.zip"
        write_bundle(path, bundle.manifest.model_copy(update={"seed": number}), bundle.models)
        sign_bundle(path, path, load_private(folder / "key.pem"))
        paths.append(path)
    return paths


def _batches() -> list[tuple[list[Shot], list[FloatArray]]]:
    """A shot of each press a batch; the same forty shots come again and again."""
    presses = [Press(f"p-{number}", process=PP_CAP_4CAV, seed=number) for number in range(PRESSES)]
    kept = [[resample(press.cycle(20_000 * (cycle + 1))) for press in presses] for cycle in range(40)]
    rows = [(shots, [extract(shot) for shot in shots]) for shots in kept]
    return [rows[number % len(rows)] for number in range(BATCHES)]


def _order(revision: int, bundle_id: str) -> Desired:
    file = BundleFile(bundle_id=bundle_id, path="/x", size_bytes=1, sha256="0" * 64)
    return Desired(revision=revision, default=Assignment(champion=bundle_id), files=(file,))


if __name__ == "__main__":
    main()
