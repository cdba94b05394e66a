"""Nine faults, one after another: the real programs are broken in mid-stream, and what the store holds is counted.

`python -m bench.faults --shots 5000` is the quick look, `--only NAME ...` picks. Each fault begins with new state,
feeds the gateway through its replay inbox, heals what it broke, waits until the gateway's journal is empty, stops all
programs and counts. A fault that stalls is counted all the same, and named. Times are of a machine that does other
things too.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from bench.fault_line import LOOPBACK, Broker, Line, Part, logged_at_s, running
from bench.proxy import proxied
from bench.report import tell
from bench.stepped_gateway import set_offset
from contract.sparkplug.codec import Metric, Payload, encode
from contract.sparkplug.datatypes import DataType
from deploy.local.broker import mosquitto_program
from deploy.local.configs import GATEWAY_ID, PLANT_ID
from deploy.local.processes import ProcessError, free_port

SHOTS = 50_000
SEED = 20
KILLS = 5
OUTAGE_S, HALF_OPEN_S = 30.0, 40.0
HALF_OPEN_FOUND_S_MAX = 20.0
FULL_KIB = 64.0
"""A disk with more room left at its fullest was not full."""
DAY_MS = 86_400_000
DISK_MIB, JOURNAL_MIB, FULL_S = 192, 64, 10.0
ROW_BYTES_MAX, LEFT_BYTES, REFILL_EVERY_S = 24, 64 * 1024, 0.05
BALLAST_CHUNK_BYTES = 1 << 20
POISON_BATCH, POISON_PAUSE_S = 50, 0.025
"""2,000 messages a second: about as fast as shots go by."""
Figures = dict[str, float | int | str]


class SkippedError(Exception):
    """This machine does not allow the fault; the message says why."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What every fault is given."""

    folder: Path
    broker: Broker
    shots: int
    chance: random.Random


def clean_outage(bench: Bench) -> Figures:
    """The broker is stopped for 30 s; half of the shots are made meanwhile."""
    with running(bench.folder, bench.broker) as line:
        send_half_and_wait(line, bench.shots)
        line.stop("broker")
        line.send(bench.shots - bench.shots // 2)
        time.sleep(OUTAGE_S)
        line.start("broker")
        return finish(line)


def half_open(bench: Bench) -> Figures:
    """Between gateway and broker nothing moves for 40 s, and no socket says so."""
    broker_port = free_port()
    with (
        proxied(broker_port) as proxy,
        running(bench.folder, bench.broker, mqtt_port=broker_port, gateway_port=proxy.port) as line,
    ):
        send_half_and_wait(line, bench.shots)
        proxy.freeze()
        frozen_s = time.time()
        line.send(bench.shots - bench.shots // 2)
        time.sleep(HALF_OPEN_S)
        proxy.thaw()
        found = [logged_at_s(entry) - frozen_s for entry in line.logged("broker_disconnected")]
        found_s = min((after_s for after_s in found if after_s > 0), default=float("inf"))
        return finish(line) | {"found_s": found_s, "is_found_in_time": int(found_s <= HALF_OPEN_FOUND_S_MAX)}


def kill_after_accept(bench: Bench) -> Figures:
    """The gateway dies as soon as it has told that a part of the file is durable."""
    with running(bench.folder, bench.broker) as line:
        line.wait_until_up()
        line.wait_until_taken(line.send(bench.shots), 1)
        line.kill("gateway")
        line.start("gateway")
        return finish(line)


def kill_mid_stream(bench: Bench) -> Figures:
    """The gateway dies five times."""
    return kill_again_and_again(bench, "gateway")


def kill_broker(bench: Bench) -> Figures:
    """The broker dies five times."""
    return kill_again_and_again(bench, "broker")


def kill_cloud(bench: Bench) -> Figures:
    """The cloud dies five times."""
    return kill_again_and_again(bench, "cloud")


def kill_again_and_again(bench: Bench, part: Part) -> Figures:
    with running(bench.folder, bench.broker) as line:
        line.wait_until_up()
        for number in range(KILLS):
            rows = bench.shots * (number + 1) // KILLS - bench.shots * number // KILLS
            job = line.send(rows)
            line.wait_until_taken(job, int(rows * bench.chance.uniform(0.05, 0.95)))
            line.kill(part)
            line.start(part)
        return finish(line)


def disk_full(bench: Bench) -> Figures:
    """For 10 s something else leaves the gateway's disk so little room that the journal must live on what it has.

    What the cloud has committed by then is enough room for what comes, so that nothing need be given up.
    """
    with (
        small_disk(bench.folder / "gateway") as disk,
        running(bench.folder, bench.broker, more_settings=f"\n[journal]\nsize_mb_max = {JOURNAL_MIB}\n") as line,
    ):
        line.wait_until_up()
        line.send(bench.shots // 2)
        line.wait_until_drained()
        ballast = disk / "ballast"
        filled = fill(ballast)
        os.truncate(ballast, filled - bench.shots * ROW_BYTES_MAX - LEFT_BYTES)  # the file itself needs room
        line.send(bench.shots - bench.shots // 2)
        began_s, free_bytes = time.monotonic(), []
        while time.monotonic() - began_s < FULL_S:
            free_bytes.append(shutil.disk_usage(disk).free)
            time.sleep(REFILL_EVERY_S)
        ballast.unlink()
        return finish(line) | disk_figures(line) | {"least_free_kib": min(free_bytes) / 1024}


def disk_stolen(bench: Bench) -> Figures:
    """Something else fills the disk to the last byte for 10 s in mid-stream: what is given up must be accounted for."""
    with (
        small_disk(bench.folder / "gateway") as disk,
        running(bench.folder, bench.broker, more_settings=f"\n[journal]\nsize_mb_max = {JOURNAL_MIB}\n") as line,
    ):
        line.wait_until_up()
        line.wait_until_taken(line.send(bench.shots), bench.shots // 10)
        began_s, ballast = time.monotonic(), disk / "ballast"
        while time.monotonic() - began_s < FULL_S:
            fill(ballast)  # again and again: what the journal lets go of is taken too
            time.sleep(REFILL_EVERY_S)
        ballast.unlink()
        return finish(line) | disk_figures(line)


def disk_figures(line: Line) -> Figures:
    health = line.logged("gateway_health")[-1]
    return {
        "thinned": int(health["RecordsThinned"]),
        "damaged": int(health["RecordsDamaged"]),
        "journal_errors": int(health["JournalErrors"]),
        "source_crashes": len(line.logged("source_crashed")),
    }


@contextmanager
def small_disk(mount_point: Path) -> Iterator[Path]:
    """A file system of DISK_MIB in memory.

    Raises:
        SkippedError: mounting is not allowed here.
    """
    mount_point.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(mount_point)]
    try:
        made = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise SkippedError("there is no mount command") from None
    if made.returncode:
        raise SkippedError(f"a tmpfs cannot be mounted: {made.stderr.strip()}")
    try:
        yield mount_point
    finally:
        subprocess.run(["umount", str(mount_point)], check=True)


def fill(ballast: Path) -> int:
    """Let a file grow until its disk has not a byte left; how much it grew."""
    grown, chunk = 0, bytes(BALLAST_CHUNK_BYTES)
    with ballast.open("ab", buffering=0) as file:
        while chunk:
            try:
                grown += file.write(chunk)
            except OSError:
                chunk = chunk[: len(chunk) // 2]
    return grown


def clock_step(bench: Bench) -> Figures:
    """The gateway's wall clock jumps a day ahead, then a day behind."""
    offset_file = bench.folder / "offset_ms"
    set_offset(offset_file, 0)
    program = (sys.executable, "-m", "bench.stepped_gateway", "--offset-file", offset_file)
    with running(bench.folder, bench.broker, gateway_program=program) as line:
        line.wait_until_up()
        for number, offset_ms in enumerate((DAY_MS, -DAY_MS, 0)):
            rows = bench.shots * (number + 1) // 3 - bench.shots * number // 3
            line.wait_until_taken(line.send(rows), rows // 2)
            set_offset(offset_file, offset_ms)
        return finish(line)


def poison(bench: Bench) -> Figures:
    """For each shot somebody else publishes a message that is none, on other topics and on ours."""
    with running(bench.folder, bench.broker) as line:
        line.wait_until_up()
        line.send(bench.shots)
        began_s = time.monotonic()
        publish_poison(line.mqtt_port, bench.shots, bench.chance)
        published_s = time.monotonic() - began_s
        told = finish(line)
        sql = """SELECT max(received_ms - before_ms) FROM
                 (SELECT received_ms, lag(received_ms) OVER (ORDER BY received_ms) AS before_ms FROM shots)"""
        (silence_ms,) = line.query(sql)[0]
        return told | {
            "messages": bench.shots,
            "dead_letters_kept": line.dead_letters(),
            "published_s": published_s,
            "longest_silence_s": float(silence_ms or 0) / 1000,
        }


def publish_poison(port: int, messages: int, chance: random.Random) -> None:
    client = paho.Client(CallbackAPIVersion.VERSION2, "bench-poison")
    client.connect(LOOPBACK, port)
    client.loop_start()
    try:
        for number in range(messages):
            topic, payload = poisonous(number, chance)
            client.publish(topic, payload)
            if number % POISON_BATCH == 0:
                time.sleep(POISON_PAUSE_S)
    finally:
        client.disconnect()
        client.loop_stop()


def poisonous(number: int, chance: random.Random) -> tuple[str, bytes]:
    """One bad message: bytes by chance, a whole payload cut short, or a whole one of a foreign device."""
    node = chance.choice((f"{PLANT_ID}/{{}}/{GATEWAY_ID}", f"{PLANT_ID}/{{}}/gw-foreign", "other-plant/{}/plc-7"))
    verb = chance.choice(("NDATA", "NDEATH", "DBIRTH", "DDATA", "DDEATH", "NCMD"))
    topic = f"spBv1.0/{node.format(verb)}" + ("/bench-0" if verb.startswith("D") else "")
    metrics = (
        Metric("Vendor/Temperature", 20.5, DataType.Double, timestamp_ms=1),
        Metric(None, number, DataType.Int64, alias=900_000 + number % 1_000),
    )
    whole = encode(Payload(1_700_000_000_000, chance.randrange(256), metrics))
    match number % 4:
        case 0:
            return topic, chance.randbytes(chance.randrange(200))
        case 1:
            return topic, whole[: chance.randrange(1, len(whole))]
        case 2:
            return topic, whole
        case _:
            return "spBv1.0/STATE/zhisan", chance.randbytes(chance.randrange(1, 60))


FAULTS: dict[str, Callable[[Bench], Figures]] = {
    each.__name__: each
    for each in (
        clean_outage,
        half_open,
        kill_after_accept,
        kill_mid_stream,
        kill_broker,
        kill_cloud,
        disk_full,
        clock_step,
        poison,
    )
}
EXTRA: dict[str, Callable[[Bench], Figures]] = {"disk_stolen": disk_stolen}
"""Only when named: the journal gives records up by design there; its ledger must account for each that is lost."""


def send_half_and_wait(line: Line, shots: int) -> None:
    """Half of the shots, and back when half of that is durable at the gateway: the stream is in full flow."""
    line.wait_until_up()
    line.wait_until_taken(line.send(shots // 2), shots // 4)


def finish(line: Line) -> Figures:
    """Wait until all is through, stop the programs and count; a line that stalls is told and counted as it is."""
    began_s, is_stalled = time.monotonic(), False
    try:
        line.wait_until_drained()
    except ProcessError as error:
        is_stalled = True
        print(error)
    drained_s = time.monotonic() - began_s
    line.stop_all()
    counted = line.count()
    return {
        "sent": counted.sent,
        "stored": counted.stored,
        "distinct": counted.distinct,
        "lost": counted.lost,
        "doubled": counted.doubled,
        "gaps": counted.gaps,
        "unaccounted": counted.sent - counted.distinct - counted.gaps,
        "altered": counted.altered,
        "stalled": int(is_stalled),
        "healed_to_drained_s": drained_s,
    }


COLUMNS = ("sent", "stored", "distinct", "lost", "doubled", "gaps", "unaccounted", "healed_to_drained_s")


def main() -> int:
    """Run the faults; 1 when one lost, doubled, altered or stalled something, or could not be run to its end.

    Of the extra ones, when something that is lost stands in no ledger.
    """
    arguments = parsed()
    figures: Figures = {"shots": arguments.shots, "broker": arguments.broker}
    bad = []
    print(f"{'fault':20}" + "".join(f"{column:>20}" for column in COLUMNS) + f"{'wall_s':>10}", flush=True)
    for name in arguments.only or FAULTS:
        began_s = time.monotonic()
        with working_folder(arguments.folder, name) as folder:
            bench = Bench(folder, arguments.broker, arguments.shots, random.Random(f"{SEED} {name}"))
            try:
                told = (FAULTS | EXTRA)[name](bench)
            except SkippedError as reason:
                figures[f"{name}_skipped"] = str(reason)
                bad.append(name)
                print(f"{name:20}skipped: {reason}", flush=True)
                continue
            except ProcessError as error:
                figures[f"{name}_failed"] = 1
                bad.append(name)
                print(f"{name:20}failed: {error}", flush=True)
                continue
        cells = "".join(
            f"{told[column]:>20.1f}" if column.endswith("_s") else f"{told[column]:>20}" for column in COLUMNS
        )
        print(f"{name:20}{cells}{time.monotonic() - began_s:>10.1f}", flush=True)
        is_late = told.get("is_found_in_time", 1) == 0
        is_roomy = float(told.get("least_free_kib", 0)) > FULL_KIB  # the disk was never full: nothing was shown
        wrong = ("unaccounted" if name in EXTRA else "lost", "doubled", "altered", "stalled")
        if any(told[key] for key in wrong) or is_late or is_roomy:
            bad.append(name)
        figures |= {f"{name}_{key}": value for key, value in told.items()}
    print()
    tell(figures | {"faults_not_survived": len(bad)}, as_json=arguments.json)
    if bad:
        print(f"not survived: {', '.join(bad)}", file=sys.stderr)
    return int(bool(bad))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="end with one flat JSON object")
    parser.add_argument("--shots", type=int, default=SHOTS, help="for each fault (5000: the quick look)")
    parser.add_argument(
        "--only", nargs="+", choices=FAULTS | EXTRA, metavar="NAME", help=f"of {', '.join(FAULTS | EXTRA)}"
    )
    parser.add_argument("--broker", choices=("nats", "mosquitto"), default="nats")
    parser.add_argument("--folder", type=Path, help="keep all state and logs here, a folder a fault")
    arguments = parser.parse_args()
    if arguments.broker == "mosquitto" and mosquitto_program() is None:
        parser.error("mosquitto is not installed")
    return arguments


@contextmanager
def working_folder(kept: Path | None, name: str) -> Iterator[Path]:
    if kept is not None:
        folder = kept / name
        folder.mkdir(parents=True)  # of an earlier run nothing may be left
        yield folder
        return
    with tempfile.TemporaryDirectory() as temporary:
        yield Path(temporary)


if __name__ == "__main__":
    sys.exit(main())
