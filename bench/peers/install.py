"""Puts a peer's pinned package into a folder of its own under build/peers; never into the project's environments."""

import shutil
import subprocess
import sys
from pathlib import Path

from deploy.node import NodeMissingError, find_node

CACHE = Path("build/peers")
THINGSBOARD = ("thingsboard-gateway==3.8.5", "tb-mqtt-client==1.13.13", "tb-paho-mqtt-client==2.1.2")
NODE_RED = "node-red@4.1.15"
INSTALL_S_MAX = 600
DONE = ".installed"
"""Written last: a folder without it is of an installation that was cut off."""


class InstallError(Exception):
    """The peer cannot be had on this machine; the message says why."""


def thingsboard_gateway() -> list[str | Path]:
    """The command that runs thingsboard-gateway.

    Raises:
        InstallError: it cannot be installed.
    """
    folder = (CACHE / THINGSBOARD[0].replace("==", "-")).resolve()
    program = folder / "bin" / "python"
    if not (folder / DONE).exists():
        shutil.rmtree(folder, ignore_errors=True)
        _run([sys.executable, "-m", "venv", folder])
        _run([program, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *THINGSBOARD])
        (folder / DONE).touch()
    return [program, "-c", "from thingsboard_gateway.tb_gateway import main; main()"]


def node_red() -> list[str | Path]:
    """The command that runs Node-RED.

    Raises:
        InstallError: it cannot be installed.
    """
    try:
        node, npm = find_node()
    except NodeMissingError as error:
        raise InstallError(str(error)) from error
    folder = (CACHE / NODE_RED.replace("@", "-")).resolve()
    if not (folder / DONE).exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        npm_options = ("--no-fund", "--no-audit", "--loglevel=error", "--ignore-scripts")
        _run([node, npm / "bin" / "npm-cli.js", "install", "--prefix", folder, *npm_options, NODE_RED])
        (folder / DONE).touch()
    return [node, folder / "node_modules" / "node-red" / "red.js"]


def _run(command: list[str | Path]) -> None:
    try:
        made = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S_MAX, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InstallError(f"{command[0]}: {error}") from error
    if made.returncode:
        raise InstallError((made.stderr.strip() or made.stdout.strip()).splitlines()[-1])
