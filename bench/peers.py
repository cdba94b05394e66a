"""The same faults for another way to carry shots: mosquitto at the edge with a bridge to mosquitto in the centre.

A publisher sends numbered messages with QoS 1 to the broker at the edge, which bridges them with QoS 1 to the centre,
where a subscriber with a lasting session counts. Both brokers keep their state on disk, saved every second, with queues
without bound. What the edge has acknowledged and the subscriber never saw is lost.
"""

import argparse
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from bench.fault_line import LOOPBACK
from bench.faults import HALF_OPEN_S, KILLS, OUTAGE_S, SEED, Figures
from bench.proxy import ProxyHandle, proxied
from bench.report import tell
from deploy.local.broker import mosquitto_program
from deploy.local.processes import Child, ProcessError, free_port, wait_for_port

MESSAGES, MESSAGES_MAX = 10_000, 60_000
"""The bound: MQTT's message ids are 16 bits wide and tell here what was acknowledged."""
PAYLOAD_BYTES = 200
IN_FLIGHT_MAX = 200
START_TIMEOUT_S, PATIENCE_S, QUIET_S = 20.0, 120.0, 15.0
"""When nothing has come for QUIET_S after all is healed, nothing will."""
POLL_S = 0.05
KEEP_ALIVE_S = 10
TOPIC = "bench/shots"
OTHERS = {
    "emqx_edge": "no package of it is installed",
    "greengrass": "needs an account and a cloud that cannot be reached from a test",
    "azure_iot_edge": "needs an account and a cloud that cannot be reached from a test",
}


@dataclass(slots=True)
class Bridge:
    """Both brokers, and the proxy between them."""

    folder: Path
    edge_port: int
    centre_port: int
    proxy: ProxyHandle
    children: dict[str, Child] = field(default_factory=dict)

    def start(self, part: str) -> None:
        """Start `edge` or `centre`, with the state that it left."""
        port = self.edge_port if part == "edge" else self.centre_port
        folder = self.folder / part
        folder.mkdir(exist_ok=True)
        lines = [
            f"listener {port} {LOOPBACK}",
            "allow_anonymous true",
            "persistence true",
            f"persistence_location {folder}/",
            "autosave_interval 1",
            "max_queued_messages 0",
            "max_queued_bytes 0",
            "user root",
        ]
        if part == "edge":
            lines += [
                "connection centre",
                f"address {LOOPBACK}:{self.proxy.port}",
                f"topic {TOPIC} out 1",
                "cleansession false",
                f"keepalive_interval {KEEP_ALIVE_S}",
                "restart_timeout 1",
            ]
        config = folder / "mosquitto.conf"
        config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        program = mosquitto_program()
        assert program is not None
        self.children[part] = Child.start(part, [program, "-c", config], folder / "broker.log")
        wait_for_port(self.children[part], LOOPBACK, port, START_TIMEOUT_S)

    def stop(self, part: str) -> None:
        """SIGTERM and wait."""
        self.children.pop(part).stop()

    def kill(self, part: str) -> None:
        """SIGKILL."""
        self.children.pop(part).kill()


@contextmanager
def bridged(folder: Path) -> Iterator[Bridge]:
    """Both brokers started; stopped with the block."""
    centre_port = free_port()
    with proxied(centre_port) as proxy:
        bridge = Bridge(folder, free_port(), centre_port, proxy)
        try:
            bridge.start("centre")
            bridge.start("edge")
            yield bridge
        finally:
            for part in list(bridge.children):
                bridge.stop(part)


class Publisher:
    """Sends numbers 0, 1, 2 ... and keeps those that the edge has acknowledged."""

    def __init__(self, port: int) -> None:
        self._number_of: dict[int, int] = {}
        self._acknowledged: set[int] = set()  # by MQTT's message ids: the answer may come before publish() returns
        self._room = threading.Semaphore(IN_FLIGHT_MAX)
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "bench-publisher", clean_session=False)
        self._client.on_publish = self._on_publish
        self._client.reconnect_delay_set(1, 1)
        self._client.connect(LOOPBACK, port, KEEP_ALIVE_S)
        self._client.loop_start()

    def send(self, first: int, count: int) -> None:
        """Publish so many numbers; waits where too many are not acknowledged."""
        for number in range(first, first + count):
            assert self._room.acquire(timeout=PATIENCE_S), "the edge acknowledges nothing"
            told = self._client.publish(TOPIC, str(number).encode().ljust(PAYLOAD_BYTES), qos=1)
            self._number_of[told.mid] = number

    @property
    def acknowledged(self) -> set[int]:
        """The numbers that the edge has taken over."""
        return {self._number_of[mid] for mid in self._acknowledged.copy()}

    def _on_publish(self, _client: object, _data: object, mid: int, _reason: object, _properties: object) -> None:
        self._acknowledged.add(mid)
        self._room.release()

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()


class Subscriber:
    """Counts how often each number came."""

    def __init__(self, port: int) -> None:
        self.seen: set[int] = set()
        self.again = 0
        self.last_s = time.monotonic()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "bench-subscriber", clean_session=False)
        self._client.on_message = self._on_message
        self._client.reconnect_delay_set(1, 1)
        subscribed = threading.Event()
        self._client.on_connect = lambda client, *_: client.subscribe(TOPIC, 1)
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.connect(LOOPBACK, port, KEEP_ALIVE_S)
        self._client.loop_start()
        if not subscribed.wait(START_TIMEOUT_S):
            raise ProcessError("the centre takes no subscription")

    def _on_message(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        number = int(message.payload)
        self.again += number in self.seen
        self.seen.add(number)
        self.last_s = time.monotonic()

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()


Send = Callable[[int], None]
"""Publish so many more messages."""


def clean_outage(bridge: Bridge, send: Send, messages: int, _chance: random.Random) -> None:
    send(messages // 2)
    bridge.stop("centre")
    send(messages - messages // 2)
    time.sleep(OUTAGE_S)
    bridge.start("centre")


def half_open(bridge: Bridge, send: Send, messages: int, _chance: random.Random) -> None:
    send(messages // 2)
    bridge.proxy.freeze()
    send(messages - messages // 2)
    time.sleep(HALF_OPEN_S)
    bridge.proxy.thaw()


def kill_edge(bridge: Bridge, send: Send, messages: int, chance: random.Random) -> None:
    kill_again_and_again(bridge, "edge", send, messages, chance)


def kill_centre(bridge: Bridge, send: Send, messages: int, chance: random.Random) -> None:
    kill_again_and_again(bridge, "centre", send, messages, chance)


def kill_edge_in_outage(bridge: Bridge, send: Send, messages: int, _chance: random.Random) -> None:
    """The gap that a state saved every second leaves: what was acknowledged since, and has not gone on."""
    bridge.stop("centre")
    send(messages)
    bridge.kill("edge")
    bridge.start("edge")
    bridge.start("centre")


def kill_again_and_again(bridge: Bridge, part: str, send: Send, messages: int, chance: random.Random) -> None:
    for _ in range(KILLS):
        send(messages // KILLS)
        time.sleep(chance.uniform(0, 0.3))
        bridge.kill(part)
        bridge.start(part)


FAULTS = {each.__name__: each for each in (clean_outage, half_open, kill_edge, kill_centre, kill_edge_in_outage)}


def measured(name: str, messages: int) -> Figures:
    """One fault over new state."""
    with tempfile.TemporaryDirectory() as folder, bridged(Path(folder)) as bridge:
        subscriber, publisher = Subscriber(bridge.centre_port), Publisher(bridge.edge_port)
        sent = 0

        def send(count: int) -> None:
            nonlocal sent
            publisher.send(sent, count)
            sent += count

        try:
            FAULTS[name](bridge, send, messages, random.Random(f"{SEED} {name}"))
            deadline_s = time.monotonic() + PATIENCE_S
            subscriber.last_s = time.monotonic()
            while time.monotonic() < min(deadline_s, subscriber.last_s + QUIET_S):
                if len(subscriber.seen) == sent == len(publisher.acknowledged):
                    break
                time.sleep(POLL_S)
        finally:
            publisher.close()
            subscriber.close()
        lost = len(publisher.acknowledged - subscriber.seen)
        unconfirmed = sent - len(publisher.acknowledged)
        return {"sent": sent, "lost": lost, "doubled": subscriber.again, "unconfirmed": unconfirmed}


def main() -> int:
    """Run all faults; 1 when one could not be run to its end. What a peer loses is no failure of this script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="end with one flat JSON object")
    parser.add_argument("--messages", type=int, default=MESSAGES, help="for each fault")
    parser.add_argument("--only", nargs="+", choices=FAULTS, metavar="NAME", help=f"of {', '.join(FAULTS)}")
    arguments = parser.parse_args()
    if not 0 < arguments.messages <= MESSAGES_MAX:
        parser.error(f"--messages is at most {MESSAGES_MAX}")
    for peer, reason in OTHERS.items():
        print(f"{peer:28} skipped: {reason}")
    if mosquitto_program() is None:
        print(f"{'mosquitto bridge':28} skipped: mosquitto is not installed")
        return 0
    figures: Figures = {"messages": arguments.messages}
    is_bad = False
    for name in arguments.only or FAULTS:
        try:
            told = measured(name, arguments.messages)
        except ProcessError as error:
            is_bad = True
            print(f"{name:28} failed: {error}")
            continue
        print(f"{name:28} " + ", ".join(f"{key} {value}" for key, value in told.items()), flush=True)
        figures |= {f"bridge_{name}_{key}": value for key, value in told.items()}
    tell(figures, as_json=arguments.json)
    return int(is_bad)


if __name__ == "__main__":
    sys.exit(main())
