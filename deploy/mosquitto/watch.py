"""`python -m deploy.mosquitto.watch`: brings its lists to a broker on another machine, and tells it to read them."""

import argparse
import os
import signal
import ssl
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

NAMES = ("crl.pem", "access")
EVERY_S = 15.0
"""A revocation reaches the broker within this time, well below the 40 s after which the cloud cuts the gateway off."""
TIMEOUT_S = 10.0
LIST_BYTES_MAX = 64 * 2**20
STARTS = {"crl.pem": b"-----BEGIN X509 CRL-----", "access": b"user host:"}
KEY_VARIABLE = "ZHISAN_API_KEY"


def main() -> None:
    """Run until it is told to stop."""
    parser = argparse.ArgumentParser(prog="python -m deploy.mosquitto.watch", description=__doc__)
    parser.add_argument("--cloud", required=True, help="the cloud's https address; its API key comes by ZHISAN_API_KEY")
    parser.add_argument("--files", type=Path, required=True, help="folder that mosquitto reads")
    parser.add_argument("--pid-file", type=Path, required=True)
    parser.add_argument("--ca-file", type=Path, help="authority of the cloud's web certificate, when it is not public")
    parser.add_argument("--every-s", type=float, default=EVERY_S, help="seconds (default: %(default)s)")
    given = parser.parse_args()
    if urlsplit(given.cloud).scheme != "https" and urlsplit(given.cloud).hostname not in ("127.0.0.1", "localhost"):
        parser.error("--cloud must be an https address")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    context = ssl.create_default_context(cafile=given.ca_file)
    while not stop.is_set():
        try:
            if fetch(given.cloud, os.environ.get(KEY_VARIABLE, ""), given.files, context):
                os.kill(process_id(given.pid_file), signal.SIGHUP)
        except (OSError, ValueError) as error:  # urllib's errors are OSErrors
            print(f"watch: {error}", file=sys.stderr, flush=True)
        stop.wait(given.every_s)


def fetch(cloud: str, key: str, folder: Path, context: ssl.SSLContext) -> bool:
    """Put the cloud's lists in place; whether one is new.

    Raises:
        OSError: the cloud does not answer, or a file cannot be written.
        ValueError: the answer is no such list.
    """
    is_new = False
    for name in NAMES:
        request = urllib.request.Request(  # noqa: S310 - main() has looked at the scheme
            f"{cloud.rstrip('/')}/api/v1/gateways/broker/{name}", headers={"Authorization": f"Bearer {key}"}
        )
        with urllib.request.urlopen(request, timeout=TIMEOUT_S, context=context) as answer:  # noqa: S310
            content = answer.read(LIST_BYTES_MAX + 1)
        if len(content) > LIST_BYTES_MAX or not content.startswith(STARTS[name]):
            raise ValueError(f"{name}: the cloud's answer is no such list")
        path = folder / name
        if path.exists() and path.read_bytes() == content:
            continue
        temporary = folder / f".{name}.new"
        temporary.write_bytes(content)
        temporary.chmod(0o640)
        temporary.replace(path)
        is_new = True
    return is_new


def process_id(pid_file: Path) -> int:
    """The broker's process id.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds none: 0 and below are groups of processes, 1 is the system itself.
    """
    pid = int(pid_file.read_text(encoding="utf-8"))
    if pid <= 1:
        raise ValueError(f"{pid_file} holds no process id of a broker")
    return pid


if __name__ == "__main__":
    main()
