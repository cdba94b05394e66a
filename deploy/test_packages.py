"""The Debian packages that tests use: installed where root and apt allow it, else named and their tests skipped."""

import os
import shutil
import subprocess
import sys

PACKAGES = {
    "mosquitto": "the broker tests run on mosquitto beside NATS",
    "chromium": "the page tests need a browser",
    "fonts-noto-cjk": "Chinese pages need a font to be looked at",
    "iproute2": "tests that cross a lossy network",
    "postgresql": "the relational tests run on PostgreSQL beside SQLite",
}
INSTALL_TIMEOUT_S = 600


def missing() -> list[str]:
    """The packages that dpkg does not know as installed."""
    if shutil.which("dpkg-query") is None:
        return list(PACKAGES)
    query = ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n", *PACKAGES]
    known = subprocess.run(query, capture_output=True, text=True, check=False).stdout.split("\n")
    return [package for package in PACKAGES if f"{package} installed" not in known]


def main() -> int:
    """Install what is missing; never a reason to fail, since tests say by name what they skip."""
    wanted = missing()
    if not wanted:
        return 0
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        for package in wanted:
            print(f"not installed: {package} ({PACKAGES[package]}); its tests will be skipped")
        return 0
    print(f"installing for the tests: {', '.join(wanted)}", flush=True)
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update", "-q"], ["apt-get", "install", "-yq", "--no-install-recommends", *wanted]):
        result = subprocess.run(
            command, env=environ, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False
        )
        if result.returncode:
            print(
                f"{' '.join(command[:2])} failed; the tests of these packages will be skipped:\n{result.stderr[-800:]}"
            )
            return 0
    # Debian starts mosquitto and PostgreSQL as services when they are installed; the tests start servers of their own.
    return 0


if __name__ == "__main__":
    sys.exit(main())
