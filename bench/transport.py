"""What a message costs on its way: paho against aiomqtt, NATS against mosquitto (2 kB, QoS 0, loopback).

CPU is this process's own (client, both directions); the broker's is not counted. Ratios are what to quote.
"""

import asyncio
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import aiomqtt
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from bench.report import tell, wants_json
from deploy.local.broker import mosquitto_program, start_mosquitto, start_nats
from deploy.local.processes import Child, free_port

MESSAGES, PAYLOAD, TOPIC = 20_000, bytes(2_000), "bench/topic"
WINDOW = 2_000
"""Sent and not yet received: below every broker's queue, so that nothing is dropped and rates are true."""


def with_paho(port: int) -> tuple[float, float]:
    """Messages a second and CPU microseconds a message, published and received by paho."""
    received, room = threading.Event(), threading.Semaphore(WINDOW)
    count = 0

    def on_message(_client: paho.Client, _userdata: object, _message: paho.MQTTMessage) -> None:
        nonlocal count
        count += 1
        room.release()
        if count == MESSAGES:
            received.set()

    subscribed = threading.Event()
    subscriber, publisher = (paho.Client(CallbackAPIVersion.VERSION2, f"bench-{name}") for name in ("sub", "pub"))
    subscriber.on_message = on_message
    subscriber.on_subscribe = lambda *_: subscribed.set()
    for client in (subscriber, publisher):
        client.connect("127.0.0.1", port)
        client.loop_start()
    subscriber.subscribe(TOPIC)
    assert subscribed.wait(10)
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    for _ in range(MESSAGES):
        assert room.acquire(timeout=30)
        publisher.publish(TOPIC, PAYLOAD)
    assert received.wait(60), f"{count} of {MESSAGES} received"
    wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
    for client in (subscriber, publisher):
        client.disconnect()
        client.loop_stop()
    return MESSAGES / wall_s, cpu_s / MESSAGES * 1e6


def with_aiomqtt(port: int) -> tuple[float, float]:
    """The same by aiomqtt."""

    async def measure() -> tuple[float, float]:
        room = asyncio.Semaphore(WINDOW)

        async def receive(client: aiomqtt.Client) -> None:
            left = MESSAGES
            async for _ in client.messages:
                room.release()
                left -= 1
                if not left:
                    return

        async with aiomqtt.Client("127.0.0.1", port) as subscriber, aiomqtt.Client("127.0.0.1", port) as publisher:
            await subscriber.subscribe(TOPIC)
            wall_s, cpu_s = time.perf_counter(), time.process_time()
            task = asyncio.create_task(receive(subscriber))
            for _ in range(MESSAGES):
                await room.acquire()
                await publisher.publish(TOPIC, PAYLOAD)
            await asyncio.wait_for(task, 120)
            return MESSAGES / (time.perf_counter() - wall_s), (time.process_time() - cpu_s) / MESSAGES * 1e6

    return asyncio.run(measure())


def main() -> None:
    """Measure each client on each broker that is there, and tell."""
    as_json = wants_json(__doc__ or "")
    brokers: dict[str, Callable[[Path, int], Child]] = {"nats": start_nats}
    if mosquitto_program() is not None:
        brokers["mosquitto"] = start_mosquitto
    figures: dict[str, float | int | str] = {"messages": MESSAGES, "payload_bytes": len(PAYLOAD)}
    for broker, start in brokers.items():
        for name, measure in (("paho", with_paho), ("aiomqtt", with_aiomqtt)):
            with tempfile.TemporaryDirectory() as folder:
                port = free_port()
                child = start(Path(folder), port)
                try:
                    per_s, cpu_us = measure(port)
                finally:
                    child.stop()
            figures[f"{broker}_{name}_per_s"], figures[f"{broker}_{name}_cpu_us"] = per_s, cpu_us
        ratio = float(figures[f"{broker}_aiomqtt_cpu_us"]) / float(figures[f"{broker}_paho_cpu_us"])
        figures[f"{broker}_aiomqtt_to_paho_cpu"] = ratio
    if "mosquitto" in brokers:
        figures["nats_to_mosquitto_per_s"] = float(figures["nats_paho_per_s"]) / float(figures["mosquitto_paho_per_s"])
    tell(figures, as_json=as_json)


if __name__ == "__main__":
    main()
