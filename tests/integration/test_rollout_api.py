"""Bundles and trials in the cloud: what is registered, who may move it, what gateways are told, how a trial ends."""

import csv
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from cloud.app import Cloud, create_app
from cloud.core.access import Right
from cloud.fleet.domain import SeenShot
from cloud.ingest.digest import Digest, GatewayHealth
from cloud.rollouts.tokens import LIFE_MS, Permission, permission_of, token_of
from cloud.telemetry.store import GatewayKey, IncomingShot
from contract.model_orders import REPORT, TOKEN_HEADER, BundleReport, Desired, Figures, PressReport, Report, desired_of
from contract.sparkplug.codec import Metric
from kit.clock import ManualClock
from models.features.schema import FEATURES
from models.runtime.bundle import sign_bundle
from models.runtime.keys import load_private, make_key_pair
from tests.access import key_headers
from tests.integration.test_cloud_api import scored, settings
from tests.rollout_bundles import bundle_file

pytestmark = pytest.mark.anyio
PRESSES = ("m1", "m2", "m3")
GATEWAY = GatewayKey("p", "g")


@dataclass
class World:
    app: FastAPI
    cloud: Cloud
    clock: ManualClock
    client: httpx.AsyncClient
    folder: Path
    sent: list[Desired] = field(default_factory=list)

    def bundle(self, seed: int = 1, *, is_signed: bool = True) -> bytes:
        path = self.folder / "upload.zip"
        bundle_file(path, seed=seed)
        if is_signed:
            sign_bundle(path, path, load_private(self.folder / "key.pem"))
        return path.read_bytes()

    async def upload(self, content: bytes, **headers: str) -> httpx.Response:
        kind = {"Content-Type": "application/octet-stream", **headers}
        return await self.client.post("/api/v1/models/bundles", content=content, headers=kind)

    async def bundle_id(self, seed: int = 1) -> str:
        return str((await self.upload(self.bundle(seed))).json()["bundle_id"])

    async def post(self, path: str, status: int = 200, **body: Any) -> Any:
        response = await self.client.post(f"/api/v1/models{path}", json=body)
        assert response.status_code == status, response.text
        return response.json()

    async def get(self, path: str, status: int = 200) -> Any:
        response = await self.client.get(f"/api/v1/models{path}")
        assert response.status_code == status, response.text
        return response.json()

    async def keep(self) -> Desired:
        """One round of the keeper, the next look due; the order that the gateway was sent last."""
        self.clock.advance(11)
        await self.heard()
        await self.cloud.rollouts.keeper.keep()
        return self.sent[-1]

    async def heard(self) -> None:
        async with self.cloud.database.transaction() as session:
            await self.cloud.fleet.node_health(session, "p", "g", metrics={}, now_ms=self.clock.utc_ms())

    async def report(self, order: Desired, champion: str, figures: dict[str, Figures], **more: Any) -> None:
        """What the gateway would say of this order."""
        report = Report(
            revision=order.revision,
            tried_revision=order.revision,
            bundles={file.bundle_id: BundleReport(state="loaded") for file in order.files},
            presses={
                press: PressReport(
                    champion=order.assignment(press).champion or champion,
                    shadow=order.assignment(press).shadow or "",
                    figures=figures,
                )
                for press in PRESSES
            },
        ).model_copy(update=more)
        await self.tell(report.model_dump_json())

    async def tell(self, text: object) -> None:
        """What comes in as the gateway's metric."""
        news = GatewayHealth(GATEWAY, {REPORT: text}, 0.0)
        await self.cloud.ingest._registry.take(Digest(news=[news]), [], self.clock.utc_ms())


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    (tmp_path / "trusted").mkdir()
    public, _ = make_key_pair(tmp_path / "key.pem")
    (tmp_path / "trusted" / "key.pub").write_bytes(public.read_bytes())
    raw = settings(tmp_path).model_dump(mode="json", exclude={"webhooks", "telemetry"})
    given = type(settings(tmp_path)).model_validate(
        {**raw, "telemetry": {"store": "memory"}, "models": {"trusted_keys": str(tmp_path / "trusted")}}
    )
    clock = ManualClock()
    app = create_app(given, clock, environ={})
    cloud: Cloud = app.state.cloud
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        headers = await key_headers(cloud)
        async with httpx.AsyncClient(transport=transport, base_url="http://cloud", headers=headers) as client:
            world = World(app, cloud, clock, client, tmp_path)

            def send(_plant: str, _gateway: str, metrics: list[Metric]) -> bool:
                order = desired_of(metrics)
                assert order is not None
                world.sent.append(order)
                return True

            cloud.rollouts.keeper._send = send  # type: ignore[assignment]
            async with cloud.database.transaction() as session:
                await cloud.fleet.node_born(session, "p", "g", epoch="e", metrics={}, now_ms=clock.utc_ms())
                for press in PRESSES:
                    await cloud.fleet.device_born(session, "p", "g", press, now_ms=clock.utc_ms())
                await cloud.fleet.node_born(session, "p", "of-another-maker", epoch="", metrics={}, now_ms=0)
            await world.tell(Report().model_dump_json())
            yield world


async def test_an_upload_is_a_candidate_and_the_same_again_changes_nothing(world: World) -> None:
    content = world.bundle()
    first = await world.upload(content)
    assert (first.status_code, first.json()["state"]) == (201, "candidate")
    assert (await world.upload(content)).json() == first.json()
    assert len((await world.get("/bundles"))["items"]) == 1
    card = await world.get(f"/bundles/{first.json()['bundle_id']}")
    assert card["card"]["heads"][0]["metrics"] == {"roc_auc": 0.9}
    assert card["card"]["training"]["M"]["rows"] == 400
    assert card["labels_since"] == {"true": 0, "false": 0, "maintenance_done": 0}


async def test_a_bundle_that_is_signed_again_is_the_same_bundle_with_the_new_file(world: World) -> None:
    first = (await world.upload(world.bundle())).json()
    again = (await world.upload(world.bundle())).json()
    assert again == {**first, "sha256": again["sha256"], "size_bytes": again["size_bytes"]}
    assert again["sha256"] != first["sha256"]
    events = (await world.get(f"/bundles/{first['bundle_id']}/events"))["items"]
    assert [event["kind"] for event in events] == ["model.bundle_resigned", "model.bundle_added"]


@pytest.mark.parametrize("content", [b"", b"PK", b"x" * 1000])
async def test_what_is_no_bundle_is_422_with_the_reason(world: World, content: bytes) -> None:
    response = await world.upload(content)
    assert response.status_code == 422, response.text
    assert list((world.folder / "cloud" / "bundles").glob(".*new")) == []


async def test_unsigned_and_too_large_uploads_are_refused(world: World) -> None:
    unsigned = await world.upload(world.bundle(is_signed=False))
    assert (unsigned.status_code, "not signed" in unsigned.json()["detail"]) == (422, True)
    assert (await world.upload(b"x" * (8_388_608 + 1))).status_code == 413


async def test_who_may_only_read_moves_nothing(world: World) -> None:
    bundle_id = await world.bundle_id()
    reader = await key_headers(world.cloud, rights=[Right.READ])
    for method, path, body in (
        ("POST", "/bundles", {}),
        ("POST", "/rollouts", {"bundle_id": bundle_id}),
        ("POST", f"/bundles/{bundle_id}/retire", {}),
        ("POST", "/labels", {}),
    ):
        response = await world.client.request(method, f"/api/v1/models{path}", json=body, headers=reader)
        assert response.status_code == 403, path


async def test_a_trial_goes_through_its_stages_and_each_step_is_told(world: World) -> None:
    old, new = await world.bundle_id(1), await world.bundle_id(2)
    for bundle_id in (old, new):
        trial = await world.post("/rollouts", 201, bundle_id=bundle_id, canaries=[{"plant_id": "p", "press_id": "m2"}])
        path = f"/rollouts/{trial['rollout_id']}"
        order = await world.keep()
        previous = old if bundle_id == new else None
        assert (order.default.champion, order.default.shadow) == (previous, bundle_id)
        await world.post(f"{path}/advance", stage="shadow", why="well")
        order = await world.keep()
        assert (order.default.champion, order.assignment("m2").champion) == (previous, bundle_id)
        assert order.assignment("m2").shadow == previous
        assert order.assignment("m2").is_guarded
        await world.post(f"{path}/advance", 409, stage="shadow", why="clicked twice")
        await world.post(f"{path}/advance", stage="canary", why="well")
        assert (await world.keep()).default.champion == bundle_id
        assert (await world.post(f"{path}/advance", stage="champion", why="won"))["outcome"] == "promoted"
    assert (await world.keep()).default.model_dump() == {"champion": new, "shadow": None, "is_guarded": False}
    states = {row["bundle_id"]: row["state"] for row in (await world.get("/bundles"))["items"]}
    assert states == {old: "retired", new: "champion"}
    events = (await world.get(f"/bundles/{new}/events"))["items"]
    assert [event["state_after"] for event in events] == ["champion", "canary", "shadow", "candidate"]
    assert {event["by"] for event in events} == {"test"}
    audited = (await world.client.get("/api/v1/audit")).json()["items"]
    assert sum(line["action"] == "model_state_changed" for line in audited) >= 7


async def test_one_trial_at_a_time_and_only_of_what_fits(world: World) -> None:
    first, second = await world.bundle_id(1), await world.bundle_id(2)
    unknown = [{"plant_id": "p", "press_id": "nowhere"}]
    await world.post("/rollouts", 409, bundle_id=first, canaries=unknown)
    await world.post("/rollouts", 404, bundle_id="0" * 12)
    trial = await world.post("/rollouts", 201, bundle_id=first)
    assert len(trial["canaries"]) == 1, "a tenth of the presses, one at least"
    await world.post("/rollouts", 409, bundle_id=second)
    await world.post(f"/bundles/{first}/retire", 409)
    stopped = await world.post(f"/rollouts/{trial['rollout_id']}/stop", why="enough")
    assert (stopped["outcome"], stopped["reason"]) == ("stopped", "enough")
    await world.post(f"/rollouts/{trial['rollout_id']}/advance", 409)
    await world.post("/rollouts", 201, bundle_id=second)


async def test_an_order_is_sent_until_it_is_followed(world: World) -> None:
    assert world.sent == []
    await world.cloud.rollouts.keeper.keep()
    assert world.sent == [], "a gateway whose own bundle scores is told nothing"
    await world.post("/rollouts", 201, bundle_id=await world.bundle_id())
    order = await world.keep()
    assert (await world.keep()).revision == order.revision
    count = len(world.sent)
    assert count >= 2, "NCMD may be lost"
    await world.report(order, "", {})
    await world.keep()
    assert len(world.sent) == count, "it was followed"
    [told] = await world.get("/gateways")  # none was made for the other maker's
    assert told["followed_revision"] == order.revision


async def test_a_cloud_that_was_put_back_goes_on_behind_what_gateways_have_seen(world: World) -> None:
    await world.post("/rollouts", 201, bundle_id=await world.bundle_id())
    order = await world.keep()
    await world.report(order.model_copy(update={"revision": 500}), "", {})
    trial = (await world.get("/rollouts"))["items"][0]
    await world.post(f"/rollouts/{trial['rollout_id']}/stop", why="a test")
    assert (await world.keep()).revision == 501


BAD = {
    "alarms": Figures(shots=100, over=90, alarms=9),
    "errors": Figures(shots=100, errors=20),
    "latency": Figures(shots=100, latency_p99_ms=90.0),
    "silence": Figures(shots=100, silent=80),
    "drift": Figures(shots=100, strange_share=0.9),
}


@pytest.mark.parametrize("what", BAD)
async def test_figures_out_of_bounds_end_a_trial_and_the_old_bundle_goes_on(world: World, what: str) -> None:
    bundle_id = await world.bundle_id()
    trial = await world.post("/rollouts", 201, bundle_id=bundle_id)
    order = await world.keep()
    await world.report(order, "f" * 12, {bundle_id: BAD[what], "f" * 12: Figures(shots=100)})
    after = await world.keep()
    ended = await world.get(f"/rollouts/{trial['rollout_id']}")
    assert (ended["outcome"], ended["reason"] != "") == ("rolled_back", True)
    assert ended["points"][-1]["new"] == {**BAD[what].model_dump(mode="json"), "shots": 300, **_thrice(BAD[what])}
    assert after.bundle_ids() == set()
    assert (await world.get(f"/bundles/{bundle_id}"))["state"] == "retired"


def _thrice(figures: Figures) -> dict[str, int]:
    """Counts add up over the three presses."""
    return {name: 3 * getattr(figures, name) for name in ("errors", "silent", "over", "alarms", "dropped")}


async def test_what_a_gateway_took_back_or_refuses_ends_the_trial_for_all(world: World) -> None:
    for number, more in enumerate(("presses", "bundles")):
        bundle_id = await world.bundle_id(10 + number)
        trial = await world.post("/rollouts", 201, bundle_id=bundle_id)
        order = await world.keep()
        told: dict[str, Any] = {
            "presses": {"m1": PressReport(champion="", taken_back=bundle_id, taken_back_why="it stank")},
            "bundles": {bundle_id: BundleReport(state="refused", reason="it stank")},
        }
        await world.report(order, "", {}, **{more: told[more]})
        await world.keep()
        assert "it stank" in (await world.get(f"/rollouts/{trial['rollout_id']}"))["reason"]


async def test_an_automatic_trial_goes_all_the_way_on_good_figures(world: World) -> None:
    bundle_id = await world.bundle_id()
    trial = await world.post("/rollouts", 201, bundle_id=bundle_id, is_automatic=True, stage_shots=60)
    stages = []
    for _ in range(6):
        order = await world.keep()
        now = await world.get(f"/rollouts/{trial['rollout_id']}")
        stages.append(now["stage"] if now["outcome"] == "running" else now["outcome"])
        await world.report(order, "", {bundle_id: Figures(shots=60)})
    assert [stage for stage in stages if stage != "promoted"] == ["shadow", "canary", "champion"]
    assert stages[-1] == "promoted"


async def test_a_file_is_served_in_ranges_to_who_has_the_token_of_this_gateway_and_bundle(world: World) -> None:
    content = world.bundle()
    bundle_id = (await world.upload(content)).json()["bundle_id"]
    secret, now_ms = world.cloud.rollouts.files.secret(), world.clock.utc_ms()
    path = f"/api/v1/models/bundles/{bundle_id}/file"

    def token(bundle: str = bundle_id, plant: str = "p", life_ms: int = LIFE_MS) -> dict[str, str]:
        given = token_of(secret, Permission(plant, "g", bundle, now_ms + life_ms))
        return {"Authorization": "", TOKEN_HEADER: given}

    whole = await world.client.get(path, headers=token())
    assert (whole.status_code, whole.content) == (200, content)
    rest = await world.client.get(path, headers={**token(), "Range": "bytes=1000-"})
    assert (rest.status_code, rest.content) == (206, content[1000:])
    assert (await world.client.get(path, headers=token("0" * 12))).status_code == 403
    assert (await world.client.get(path, headers=token(plant="elsewhere"))).status_code == 403
    for wrong in ({}, {TOKEN_HEADER: "x.y"}, token(life_ms=-1)):
        assert (await world.client.get(path, headers={"Authorization": "", **wrong})).status_code == 401
    assert (await world.client.get(path)).content == content, "who may read may look at it"


def test_a_token_is_good_for_what_it_says_and_no_longer() -> None:
    permission = Permission("p", "g", "0" * 12, 1_000)
    token = token_of(b"s" * 32, permission)
    assert permission_of(b"s" * 32, token, 999) == permission
    assert permission_of(b"s" * 32, token, 1_000) is None
    assert permission_of(b"t" * 32, token, 0) is None
    assert all(permission_of(b"s" * 32, token[:cut], 0) is None for cut in range(len(token)))


async def test_an_engineer_s_word_on_an_alarm_is_kept_counted_and_told_to_the_gateway(world: World) -> None:
    now_ms = world.clock.utc_ms()
    rows = [IncomingShot(GATEWAY, "e", n, now_ms, False, scored(n, now_ms)) for n in range(1, 7)]
    world.cloud.store.write(rows)
    async with world.cloud.database.transaction() as session:
        await world.cloud.fleet.shots_seen(session, [SeenShot("p", "g", "m1", now_ms, now_ms)])
    await world.cloud.alarm_consumer.consume_batch()
    [alarm] = (await world.client.get("/api/v1/alarms")).json()["items"]
    said = {"alarm_id": alarm["alarm_id"], "verdict": "true", "comment": "ring worn"}
    label = await world.post("/labels", 200, **said)
    assert (label["mode"], label["bundle_id"]) == ("check_ring_wear", "b")
    await world.post("/labels", 200, **{**said, "verdict": "maintenance_done"})
    assert await world.get("/labels/counts") == {"true": 0, "false": 0, "maintenance_done": 1}
    assert len((await world.get("/labels"))["items"]) == 1
    order = await world.keep()
    assert order.relearn == {"m1": now_ms}, "its baselines begin anew"
    table = (await world.client.get("/api/v1/models/labels/export")).text
    [head, row] = csv.reader(io.StringIO(table))
    assert len(head) == len(row) == 8 + len(FEATURES)
    assert row[3:5] == ["check_ring_wear", "maintenance_done"]
    await world.post("/labels", 404, alarm_id="0" * 32, verdict="true")
    await world.post("/labels", 422, alarm_id=alarm["alarm_id"], verdict="perhaps")


async def test_a_report_that_makes_no_sense_is_left_aside(world: World) -> None:
    for text in ("{", "[]", '{"revision": -1}', 7):
        await world.tell(text)
    [told] = await world.get("/gateways")
    assert (told["gateway_id"], told["presses"]) == ("g", {})
