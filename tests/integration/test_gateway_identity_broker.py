"""Real mosquitto with our files: each gateway has its own topics and no others, and a revoked one has none."""

import gc
from pathlib import Path

import anyio
import pytest

from cloud.gateways.authority import Authority
from deploy.local.broker import mosquitto_program
from kit.mqtt import BrokerSettings, Will
from tests.integration.gateway_identity_world import (
    broker_world,
    gateway_settings,
    host_settings,
    new_key,
    peer,
    until,
)

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(mosquitto_program() is None, reason="mosquitto is not installed"),
    # paho forgets a socket whose TLS handshake fails, as while a broker stops, and leaves closing it to the interpreter
    pytest.mark.filterwarnings(r"ignore:Exception ignored in. <ssl\.SSLSocket:pytest.PytestUnraisableExceptionWarning"),
]
NS = "spBv1.0"
OWN = [f"{NS}/north/{verb}/gw-1" for verb in ("NBIRTH", "NDATA", "NDEATH")] + [
    f"{NS}/north/{verb}/gw-1/press-1" for verb in ("DBIRTH", "DDATA", "DDEATH")
]
FOREIGN = [
    f"{NS}/north/NDATA/gw-2",
    f"{NS}/south/NDATA/gw-1",
    f"{NS}/north/DDATA/gw-2/press-1",
    f"{NS}/north/NCMD/gw-1",
    f"{NS}/north/NCMD/gw-2",
    f"{NS}/north/DCMD/gw-2/press-1",
    f"{NS}/STATE/zhisan",
    f"{NS}/north/DDATA/gw-1",
    "elsewhere",
]
SETTLE_S = 0.4  # what was refused has had the time to arrive, as what follows it on the same connection has


async def test_a_gateway_has_its_own_topics_and_no_others(tmp_path: Path) -> None:
    async with broker_world(tmp_path) as (made, broker):
        one, _ = await made.claimed("north", "gw-1")
        two, _ = await made.claimed("north", "gw-2")
        cjk, _ = await made.claimed("厂一", "网关-1")
        await anyio.sleep(1.0)
        everything = [f"{NS}/#", "#", f"{NS}/north/NCMD/gw-2", f"{NS}/north/NDATA/gw-2"]
        async with (
            peer(host_settings(made, broker), "host", [f"{NS}/#"]) as host,
            peer(gateway_settings(made, broker, one), "one", everything) as gateway,
            peer(gateway_settings(made, broker, two), "two", [f"{NS}/north/NCMD/gw-2"]) as other,
            peer(gateway_settings(made, broker, cjk), "three", [f"{NS}/厂一/NCMD/网关-1"]) as third,
        ):
            await until(lambda: all(each.connected for each in (host, gateway, other, third)))
            await anyio.sleep(SETTLE_S)
            for topic in [*FOREIGN, *OWN]:
                assert gateway.link.publish(topic, b"from gw-1")
            assert third.link.publish(f"{NS}/厂一/NDATA/网关-1", b"from 1")
            for topic in ("north/NCMD/gw-1", "north/DCMD/gw-1/press-1", "north/NCMD/gw-2", "厂一/NCMD/网关-1"):
                assert host.link.publish(f"{NS}/{topic}", b"order")
            assert host.link.publish(f"{NS}/STATE/zhisan", b"online")
            await until(lambda: bool(other.got) and bool(third.got) and len(gateway.got) >= 3)
            await anyio.sleep(SETTLE_S)
            assert [topic for topic, payload in host.got if payload == b"from gw-1"] == OWN
            assert (f"{NS}/厂一/NDATA/网关-1", b"from 1") in host.got
            assert {topic for topic, _ in gateway.got} == {
                f"{NS}/north/NCMD/gw-1", f"{NS}/north/DCMD/gw-1/press-1", f"{NS}/STATE/zhisan",
            }  # fmt: skip
            assert other.got == [(f"{NS}/north/NCMD/gw-2", b"order")]
            assert third.got == [(f"{NS}/厂一/NCMD/网关-1", b"order")]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # paho leaves closing to the collector
async def test_who_has_no_good_certificate_is_not_let_in(tmp_path: Path) -> None:
    async with broker_world(tmp_path) as (made, broker):
        own, _ = await made.claimed("north", "gw-1")
        foreign = Authority.open(tmp_path / "other-ca", made.clock.utc_ms())
        key = new_key()
        now_ms = made.clock.utc_ms()
        self_made = foreign.issue_client(key.public_key(), "north/gw-1", now_ms=now_ms, life_ms=60_000)
        ours = made.parts.identities.authority()
        expired = ours.issue_client(key.public_key(), "north/gw-1", now_ms=now_ms - 86_400_000, life_ms=60_000)
        server = ours.issue_server(key.public_key(), ["north/gw-1"], now_ms=now_ms, life_ms=60_000)
        refused: dict[str, BrokerSettings] = {
            "no certificate": gateway_settings(made, broker, None),
            "self-made authority": gateway_settings(made, broker, made.kept(self_made.certificate_pem, key)),
            "expired": gateway_settings(made, broker, made.kept(expired.certificate_pem, key)),
            "a server's": gateway_settings(made, broker, made.kept(server.certificate_pem, key)),
            "plain TCP": BrokerSettings(port=broker.port),
            "plain TCP at the host's": BrokerSettings(port=broker.host_port),
            "a broker of another authority": BrokerSettings(
                port=broker.port, ca_file=tmp_path / "other-ca" / "ca.pem", certificate_file=own
            ),
        }
        async with anyio.create_task_group() as tasks:

            async def try_it(name: str, settings: BrokerSettings) -> None:
                async with peer(settings, name) as stranger:
                    await anyio.sleep(1.5)  # paho tries more than once, and never without TLS where TLS is asked
                    assert stranger.connected == 0, name

            for name, settings in refused.items():
                tasks.start_soon(try_it, name, settings)
        async with peer(gateway_settings(made, broker, own), "own") as gateway:
            await until(lambda: gateway.connected == 1)
    gc.collect()


async def test_a_certificate_without_a_gateway_may_do_nothing(tmp_path: Path) -> None:
    """A certificate of ours whose subject the registry does not know is let in and hears and says nothing."""
    async with broker_world(tmp_path) as (made, broker):
        key, now_ms = new_key(), made.clock.utc_ms()
        issued = made.parts.identities.authority().issue_client(
            key.public_key(), "north/ghost", now_ms=now_ms, life_ms=60_000
        )
        settings = gateway_settings(made, broker, made.kept(issued.certificate_pem, key))
        async with (
            peer(host_settings(made, broker), "host", [f"{NS}/#"]) as host,
            peer(settings, "ghost", ["#", f"{NS}/STATE/#"]) as ghost,
        ):
            await until(lambda: host.connected == 1 and ghost.connected == 1)
            await anyio.sleep(SETTLE_S)
            ghost.link.publish(f"{NS}/north/NDATA/ghost", b"boo")
            host.link.publish(f"{NS}/STATE/zhisan", b"online")
            await until(lambda: bool(host.got))
            await anyio.sleep(SETTLE_S)
            assert host.got == [(f"{NS}/STATE/zhisan", b"online")]
            assert ghost.got == []


async def test_a_revoked_gateway_is_cut_off_and_does_not_come_back(tmp_path: Path) -> None:
    will = Will(f"{NS}/north/NDEATH/gw-1", b"will", 1, False)
    async with broker_world(tmp_path) as (made, broker):
        one, _ = await made.claimed("north", "gw-1")
        two, _ = await made.claimed("north", "gw-2")
        async with (
            peer(host_settings(made, broker), "host", [f"{NS}/#"]) as host,
            peer(gateway_settings(made, broker, one), "one", [f"{NS}/north/NCMD/gw-1"], will=will) as gateway,
            peer(gateway_settings(made, broker, two), "two", [f"{NS}/north/NCMD/gw-2"]) as other,
        ):
            await until(lambda: all(each.connected for each in (host, gateway, other)))
            await until(lambda: _arrives(gateway, host, "gw-1"))
            started_s = anyio.current_time()
            answer = await made.client.post("/api/v1/gateways/north/gw-1/revoke", json={"reason": "stolen"})
            assert answer.status_code == 200
            await until(lambda: made.parts.registry.is_refused("north", "gw-1"), 5)
            refused_s = anyio.current_time() - started_s
            await until(lambda: bool(gateway.faults), 20)
            cut_s = anyio.current_time() - started_s
            print(f"refused by the host after {refused_s:.2f} s, cut off by the broker after {cut_s:.2f} s")
            assert refused_s < 1
            assert cut_s < 10
            before = len(host.got)
            for _ in range(12):  # it tries to come back
                gateway.link.publish(f"{NS}/north/NDATA/gw-1", b"late")
                await anyio.sleep(0.2)
            assert gateway.connected == 1
            assert len(host.got) == before
            assert b"will" not in [payload for _, payload in host.got], "the broker says nothing in its name either"
            host.link.publish(f"{NS}/north/NCMD/gw-2", b"order")
            await until(lambda: bool(other.got))
            assert (other.connected, other.faults) == (1, [])
        async with peer(gateway_settings(made, broker, one), "again") as again:
            await anyio.sleep(1.2)
            assert again.connected == 0


async def test_without_the_cutting_off_the_lists_alone_silence_a_live_connection(tmp_path: Path) -> None:
    """What mosquitto 2.0.11 does on SIGHUP: the connection stays, and nothing passes on it in either direction."""
    async with broker_world(tmp_path) as (made, broker):
        one, _ = await made.claimed("north", "gw-1")
        made.parts.keeper._cutting_off._cut_off = _nobody
        async with (
            peer(host_settings(made, broker), "host", [f"{NS}/#"]) as host,
            peer(gateway_settings(made, broker, one), "one", [f"{NS}/north/NCMD/gw-1"]) as gateway,
        ):
            await until(lambda: host.connected == 1 and gateway.connected == 1)
            await until(lambda: _arrives(gateway, host, "gw-1"))
            await made.client.post("/api/v1/gateways/north/gw-1/revoke", json={"reason": "stolen"})
            await anyio.sleep(2.0)
            before = len(host.got)
            assert gateway.link.publish(f"{NS}/north/NDATA/gw-1", b"late")
            assert host.link.publish(f"{NS}/north/NCMD/gw-1", b"order")
            await until(lambda: len(host.got) > before)
            await anyio.sleep(SETTLE_S)
            assert host.got[before:] == [(f"{NS}/north/NCMD/gw-1", b"order")]
            assert (gateway.got, gateway.faults) == ([], [])


async def test_a_replaced_gateway_gives_way_to_the_new_one(tmp_path: Path) -> None:
    async with broker_world(tmp_path) as (made, broker):
        old, _ = await made.claimed("north", "gw-1")
        async with peer(gateway_settings(made, broker, old), "old") as replaced:
            await until(lambda: replaced.connected == 1)
            new, _ = await made.claimed("north", "gw-1")
            await until(lambda: bool(replaced.faults), 20)
            async with (
                peer(host_settings(made, broker), "host", [f"{NS}/#"]) as host,
                peer(gateway_settings(made, broker, new), "new") as gateway,
            ):
                await until(lambda: gateway.connected == 1 and host.connected == 1)
                await until(lambda: _arrives(gateway, host, "gw-1"))
                await anyio.sleep(2.0)
                assert replaced.connected == 1
                assert not made.parts.registry.is_refused("north", "gw-1")


async def test_nobody_takes_another_gateways_connection_by_its_client_id(tmp_path: Path) -> None:
    async with broker_world(tmp_path) as (made, broker):
        one, _ = await made.claimed("north", "gw-1")
        two, _ = await made.claimed("north", "gw-2")
        async with peer(gateway_settings(made, broker, one), "north:gw-1") as gateway:
            await until(lambda: gateway.connected == 1)
            async with peer(gateway_settings(made, broker, two), "north:gw-1") as thief:
                await until(lambda: thief.connected == 1)
                await anyio.sleep(SETTLE_S)
                assert gateway.faults == []


async def _nobody(_gateways: object) -> None:
    return


def _arrives(gateway: object, host: object, name: str) -> bool:
    gateway.link.publish(f"{NS}/north/NDATA/{name}", b"hello")  # type: ignore[attr-defined]
    return any(topic == f"{NS}/north/NDATA/{name}" for topic, _ in host.got)  # type: ignore[attr-defined]
