"""A link that loses and delays IP packets: a network namespace joined to ours by TUN devices, packets carried between.

Every packet crosses the forwarder at the end of this file, which drops a share of them by a seeded generator and hands
on the rest later: real TCP over real loss, on any kernel that has TUN, with or without netem.
"""

import fcntl
import os
import random
import select
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local.processes import Child

QUEUE_PACKETS_MAX = 1_000
"""A router's queue; what comes when it is full is lost, as netem's default has it."""
START_TIMEOUT_S = 10.0
PACKET_BYTES_MAX = 65_535
TUN_DEVICE = Path("/dev/net/tun")
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000  # linux/if_tun.h


class LinkUnavailableError(Exception):
    """This machine does not allow namespaces or TUN devices; the message says which."""


@dataclass(frozen=True, slots=True)
class LossyLink:
    """Both ends of a link: ours has `address`; programs started with `prefix` are at the far end."""

    address: str
    far_address: str
    prefix: tuple[str, ...]


@contextmanager
def lossy_link(folder: Path, *, loss: float, delay_s: float, seed: int) -> Iterator[LossyLink]:
    """A namespace whose only way out loses `loss` of the packets and takes `delay_s`, in each direction.

    Raises:
        LinkUnavailableError: it cannot be made here.
    """
    number = os.getpid() % 16_384
    near, far, space = f"zn{number}", f"zf{number}", f"zhisan-{number}"
    # 198.18.0.0/15 is set aside for tests of networks (RFC 2544); four addresses a link.
    base = (198 << 24) + (18 << 16) + number * 4
    address, far_address = (".".join(str(base + end >> shift & 255) for shift in (24, 16, 8, 0)) for end in (1, 2))
    made = _ip("netns", "add", space, check=False)
    if made.returncode != 0:
        raise LinkUnavailableError(f"ip netns add: {made.stderr.strip()}")
    forwarder = None
    try:
        forwarder = _start_forwarder(folder, near, far, loss, delay_s, seed)
        _ip("link", "set", far, "netns", space)
        _ip("addr", "add", f"{address}/30", "dev", near)
        _ip("link", "set", near, "up")
        for arguments in (("addr", "add", f"{far_address}/30", "dev", far), ("link", "set", far, "up")):
            _ip("-n", space, *arguments)
        _ip("-n", space, "link", "set", "lo", "up")
        yield LossyLink(address, far_address, ("ip", "netns", "exec", space))
    finally:
        if forwarder is not None:
            forwarder.stop()  # its devices go with it
        _ip("netns", "del", space, check=False)


def _start_forwarder(folder: Path, near: str, far: str, loss: float, delay_s: float, seed: int) -> Child:
    if not os.access(TUN_DEVICE, os.R_OK | os.W_OK):
        raise LinkUnavailableError(f"{TUN_DEVICE} cannot be opened")
    ready = folder / f"{near}.ready"
    command = [sys.executable, "-m", "tests.e2e.lossy_link", near, far, str(loss), str(delay_s), str(seed), str(ready)]
    child = Child.start("lossy link", command, folder / "link.log")
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while not ready.exists():
        if not child.is_running or time.monotonic() > deadline_s:
            child.stop()
            raise LinkUnavailableError(f"TUN devices cannot be made:\n{child.log_tail()}")
        time.sleep(0.02)
    return child


def _ip(*arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
    """Run iproute2's `ip`; Debian puts it outside an ordinary user's PATH."""
    program = shutil.which("ip", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        raise LinkUnavailableError("iproute2's ip is not installed")
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=check)


@dataclass(slots=True)
class Direction:
    """One way of the link: what is under way, and how much has gone by."""

    source: int
    sink: int
    chance: random.Random
    under_way: deque[tuple[float, bytes]]
    carried: int = 0
    lost: int = 0

    def take(self, now_s: float, loss: float, delay_s: float) -> None:
        """Read one packet: lost, or due `delay_s` later."""
        packet = os.read(self.source, PACKET_BYTES_MAX)
        if self.chance.random() < loss or len(self.under_way) == QUEUE_PACKETS_MAX:
            self.lost += 1
        else:
            self.carried += 1
            self.under_way.append((now_s + delay_s, packet))

    def give(self, now_s: float) -> None:
        """Write what is due; the order stays."""
        while self.under_way and self.under_way[0][0] <= now_s:
            _, packet = self.under_way.popleft()
            try:
                os.write(self.sink, packet)
            except OSError:  # the device is down or not addressed yet: nobody listens, as on a cut cable
                self.lost += 1


def forward(near: int, far: int, *, loss: float, delay_s: float, seed: int, is_over: list[bool]) -> str:
    """Carry packets both ways until told that it is over; says how many were carried and lost."""
    there = Direction(near, far, random.Random(f"{seed} there"), deque())
    back = Direction(far, near, random.Random(f"{seed} back"), deque())
    of = {near: there, far: back}
    while not is_over:
        due = [way.under_way[0][0] for way in of.values() if way.under_way]
        wait_s = max(0.0, min(due) - time.monotonic()) if due else 0.5
        for source in select.select([near, far], [], [], wait_s)[0]:
            of[source].take(time.monotonic(), loss, delay_s)
        for way in of.values():
            way.give(time.monotonic())
    return f"there: {there.carried} carried, {there.lost} lost; back: {back.carried} carried, {back.lost} lost"


def _open_tun(name: str) -> int:
    device = os.open(TUN_DEVICE, os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return device


def main(near: str, far: str, loss: str, delay_s: str, seed: str, ready: str) -> None:
    """The forwarder: makes both devices, says so by a file, and carries packets until SIGTERM."""
    is_over: list[bool] = []
    signal.signal(signal.SIGTERM, lambda *_: is_over.append(True))
    devices = _open_tun(near), _open_tun(far)
    Path(ready).touch()
    print(forward(*devices, loss=float(loss), delay_s=float(delay_s), seed=int(seed), is_over=is_over), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
