"""How is a plant run by hand or by a launcher? `python -m simulators.plant`; it stops on SIGTERM and SIGINT."""

import argparse
import json
import logging
import signal
import sys
from pathlib import Path

import anyio
import structlog

from kit.logging import configure
from simulators.plant.plant import PlantError, PlantOptions, RunningPlant, running_plant

log = structlog.get_logger()


def main(arguments: list[str] | None = None) -> int:
    """Run the plant until told to stop; 0 after a clean stop, 2 when it cannot start."""
    parsed = _parser().parse_args(arguments)
    configure()
    logging.getLogger("asyncua").setLevel(logging.ERROR)  # it warns of each client that goes away
    try:
        anyio.run(serve_plant, _options(parsed), parsed.status_file)
    except PlantError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


async def serve_plant(options: PlantOptions, status_file: Path | None = None) -> None:
    """Run a plant until SIGTERM or SIGINT; the status file is written once all ports are open.

    Raises:
        PlantError: an option is out of range or a port is taken.
    """
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with running_plant(options) as plant:
            if status_file is not None:
                await anyio.to_thread.run_sync(_write_status, status_file, plant)
            log.info("plant_started", presses=len(plant.presses), speed=options.speed, first=plant.urls[0])
            async for received in signals:
                log.info("plant_stopping", signal=received.name)
                break


def _write_status(path: Path, plant: RunningPlant) -> None:
    text = json.dumps([{"press_id": press.press_id, "url": press.url} for press in plant.presses])
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_text(text + "\n", encoding="utf-8")
    unfinished.replace(path)


def _options(parsed: argparse.Namespace) -> PlantOptions:
    if parsed.security == "basic256sha256" and parsed.certificates is None:
        raise PlantError("--security basic256sha256 needs --certificates DIR, where the certificates are put")
    return PlantOptions(
        presses=parsed.presses,
        host=parsed.host,
        base_port=parsed.base_port,
        speed=parsed.speed,
        seed=parsed.seed,
        fault_press=parsed.fault_press,
        fault_onset_s=parsed.fault_onset_s,
        fault_growth_s=parsed.fault_growth_s,
        operator_press=parsed.operator_press,
        operator_every_s=parsed.operator_every_s,
        certificates=parsed.certificates if parsed.security == "basic256sha256" else None,
        namespace_shift=parsed.namespace_shift,
        first_cycle=parsed.first_cycle,
    )


def _press_number(text: str) -> int | None:
    return None if text == "none" else int(text)


def _parser() -> argparse.ArgumentParser:
    plain = PlantOptions()
    parser = argparse.ArgumentParser(prog="python -m simulators.plant", description="Presses as OPC UA servers.")
    add = parser.add_argument
    add("--presses", type=int, default=plain.presses, metavar="N", help="how many; half PP caps, half ABS housings")
    add("--base-port", type=int, default=48400, metavar="P", help="of press-01; the others follow; 0 takes free ones")
    add("--host", default=plain.host, help="address to listen on")
    add("--speed", type=float, default=plain.speed, metavar="F", help="how many times faster than real")
    add("--seed", type=int, default=plain.seed, metavar="S", help="of all chance")
    add("--fault-press", type=_press_number, default=None, metavar="I", help="whose check ring wears, from 1, or none")
    add("--fault-onset-s", type=float, default=plain.fault_onset_s, metavar="T", help="real seconds until it begins")
    add("--fault-growth-s", type=float, default=plain.fault_growth_s, metavar="T", help="real seconds to condemned")
    add(
        "--operator-press", type=_press_number, default=None, metavar="I", help="whose set points move, from 1, or none"
    )
    add(
        "--operator-every-s", type=float, default=plain.operator_every_s, metavar="T", help="real seconds between moves"
    )
    add("--security", choices=("none", "basic256sha256"), default="none", help="policy of the endpoints")
    add("--certificates", type=Path, default=None, metavar="DIR", help="where certificates are put")
    add("--status-file", type=Path, default=None, metavar="F", help="JSON list of press_id and url, once ready")
    add("--namespace-shift", type=int, default=0, metavar="K", help="register K namespaces first")
    add("--first-cycle", type=int, default=plain.first_cycle, metavar="C", help="the first cycle's counter")
    return parser


if __name__ == "__main__":
    sys.exit(main())
