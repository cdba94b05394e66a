"""One MQTT 3.1.1 connection: paho in a thread, events handed to the loop in batches."""

import asyncio
import re
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol

import anyio.lowlevel
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode
from pydantic import Field, SecretStr

from kit.mqtt_thread import ClientThread
from kit.settings import Settings

KEEP_ALIVE_S = 10  # a half-open link is found within two of these
INBOX_MESSAGES_MAX = 20_000


class BrokerSettings(Settings):
    """Where the broker is and who we are to it; TLS is used when `ca_file` is set and never falls back to plain."""

    host: str = Field("127.0.0.1", description="Name or address of the broker.")
    port: int = Field(1883, ge=1, le=65_535, description="TCP port; 8883 is usual with TLS.")
    username: str = Field("", description="User name, when the broker wants one.")
    password: SecretStr = Field(SecretStr(""), description="Its password; better by environment.")
    ca_file: Path | None = Field(None, description="Authority (PEM) that the broker's certificate must come from.")
    certificate_file: Path | None = Field(None, description="Our own certificate (PEM), for brokers that ask for one.")
    private_key_file: Path | None = Field(None, description="Its private key (PEM).")


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes for us when the connection is lost."""

    topic: str
    payload: bytes
    qos: int
    retain: bool


@dataclass(frozen=True, slots=True)
class Connected:
    """The broker has accepted this connection; nothing is subscribed yet."""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection is gone; the next attempt comes by itself, after 1 to 30 s."""

    reason: str


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The broker has answered a `subscribe` of this connection; `is_granted`: it has taken every filter."""

    is_granted: bool


@dataclass(frozen=True, slots=True)
class Received:
    """One message of a subscription."""

    topic: str
    payload: bytes


LinkEvent = Connected | Disconnected | Subscribed | Received


class Link(Protocol):
    """A connection that reconnects by itself."""

    async def events(self) -> list[LinkEvent]:
        """Wait for news; all that is waiting, in order of arrival."""

    def subscribe(self, topics: list[tuple[str, int]]) -> None:
        """Subscribe on the present connection, as after each `Connected`; `Subscribed` is the answer."""

    def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> bool:
        """Hand a message to the network; False when there is no connection, and then it is not kept."""

    async def reconnect(self, *, after_s: float = 0.0) -> None:
        """Give up the present connection without the will being published, and make a new one `after_s` later."""

    @property
    def dropped(self) -> int:
        """How many messages a full inbox has refused so far."""


def client_id(*parts: str) -> str:
    """An MQTT client id from ids; NATS refuses `.`, `*` and `>` in it, so they are written as %XX."""
    return ":".join(re.sub(r"[.*>:%]", lambda found: f"%{ord(found.group()):02X}", part) for part in parts)


class PahoLink:
    """`Link` over paho-mqtt; an async context manager that connects on entry and disconnects on exit.

    `make_will` is called, in the client's thread, whenever the server has been reached and before the CONNECT is sent,
    so that each CONNECT has a will of its own and none is made for nothing.
    """

    def __init__(self, broker: BrokerSettings, name: str, make_will: Callable[[], Will | None]) -> None:
        self._broker = broker
        self._name = name
        self._make_will = make_will
        self._lock = threading.Lock()
        self._inbox: list[LinkEvent] = []
        self._dropped = 0
        self._wake = anyio.Event()
        self._changing = anyio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client = self._new_client(name)
        self._thread = ClientThread(self._client)

    def _new_client(self, name: str) -> paho.Client:
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=paho.MQTTv311)
        if self._broker.username:
            client.username_pw_set(self._broker.username, self._broker.password.get_secret_value() or None)
        if self._broker.ca_file is not None:
            client.tls_set_context(_tls(self._broker))
        client.on_pre_connect = self._on_pre_connect
        client.on_socket_open = self._on_socket_open
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        return client

    async def __aenter__(self) -> "PahoLink":
        self._loop = asyncio.get_running_loop()
        self._start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):
            await self._stop()

    def _start(self) -> None:
        self._client.connect_async(self._broker.host, self._broker.port, keepalive=KEEP_ALIVE_S)
        self._thread.start()

    async def _stop(self) -> None:
        client = self._client
        self._thread.leave()
        await anyio.to_thread.run_sync(self._thread.join)
        # paho closes its inner sockets when it is freed, which a cycle through our methods would put off.
        client.on_pre_connect = client.on_socket_open = client.on_connect = client.on_disconnect = None
        client.on_subscribe = client.on_message = None

    async def events(self) -> list[LinkEvent]:
        """Wait for news; all that is waiting, in order of arrival."""
        await anyio.lowlevel.checkpoint()
        while True:
            with self._lock:
                if self._inbox:
                    taken, self._inbox = self._inbox, []
                    return taken
                self._wake = wake = anyio.Event()
            await wake.wait()

    def subscribe(self, topics: list[tuple[str, int]]) -> None:
        """Subscribe on the present connection."""
        self._client.subscribe(topics)
        self._thread.wake()

    def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> bool:
        """Hand a message to the network; False when no broker has accepted us: paho would keep QoS 1 for later."""
        if not self._client.is_connected():
            return False
        told = self._client.publish(topic, payload, qos, retain)
        self._thread.wake()
        return told.rc == 0

    async def reconnect(self, *, after_s: float = 0.0) -> None:
        """Disconnect cleanly and connect again (the caller has published its own farewell)."""
        async with self._changing:  # two at once would leave a second client under the same name
            await self._stop()
            await anyio.sleep(after_s)
            self._client = self._new_client(self._name)  # a used one leaks its inner sockets when it is started again
            self._thread = ClientThread(self._client)
            self._start()

    @property
    def dropped(self) -> int:
        """How many messages a full inbox has refused so far."""
        return self._dropped

    def _put(self, event: LinkEvent) -> None:
        with self._lock:
            if len(self._inbox) >= INBOX_MESSAGES_MAX and isinstance(event, Received):
                self._dropped += 1
                return
            self._inbox.append(event)
            wake = self._wake if len(self._inbox) == 1 else None
        if wake is not None and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(wake.set)

    def _on_pre_connect(self, client: paho.Client, _userdata: object) -> None:
        client.drop_out_messages()  # paho would send again, before our births, what the last connection did not confirm

    def _on_socket_open(self, client: paho.Client, _userdata: object, _socket: object) -> None:
        will = self._make_will()
        if will is not None:
            client.will_set(will.topic, will.payload, will.qos, will.retain)

    def _on_connect(self, _client: object, _data: object, _flags: object, reason: ReasonCode, _props: object) -> None:
        self._put(Disconnected(f"refused by the broker: {reason}") if reason.is_failure else Connected())

    def _on_disconnect(self, _client: object, _data: object, _flags: object, reason: ReasonCode, _p: object) -> None:
        self._put(Disconnected(str(reason)))

    def _on_subscribe(self, _client: object, _data: object, _mid: int, codes: list[ReasonCode], _p: object) -> None:
        self._put(Subscribed(not any(code.is_failure for code in codes)))

    def _on_message(self, _client: paho.Client, _userdata: object, message: paho.MQTTMessage) -> None:
        self._put(Received(message.topic, bytes(message.payload)))


def _tls(broker: BrokerSettings) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(broker.ca_file))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if broker.certificate_file is not None:
        context.load_cert_chain(broker.certificate_file, broker.private_key_file)
    return context
