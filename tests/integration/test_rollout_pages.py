"""The pages of bundles in both languages: what they show, what their forms do, and that no foreign form does it."""

import re
from contextlib import aclosing
from typing import Any

import anyio
import pytest

from cloud.core.access import Role
from cloud.core.tenants import DEFAULT_TENANT
from cloud.fleet.domain import SeenShot
from cloud.telemetry.store import IncomingShot
from cloud.web.alarms_page import AlarmsKey
from cloud.web.alarms_view import wanted_of
from contract.model_orders import Figures, PressReport, Report
from contract.vocabulary import FAILURE_MODES
from tests.access import session_headers
from tests.integration.test_cloud_api import scored
from tests.integration.test_rollout_api import GATEWAY, World, world

pytestmark = pytest.mark.anyio
__all__ = ["world"]
LANGUAGES = {"en": "Models", "zh-CN": "模型"}


async def engineer(world: World) -> tuple[dict[str, str], dict[str, str]]:
    """Headers of an engineer's browser, and the field with which our pages' forms come back."""
    headers = await session_headers(world.cloud, "engineer", Role.ENGINEER)
    token = headers.pop("X-CSRF-Token")
    return {**headers, "Authorization": ""}, {"csrf_token": token}


async def page(world: World, path: str, headers: dict[str, str], language: str = "en") -> str:
    answer = await world.client.get(path, headers={**headers, "Accept-Language": language, "Accept": "text/html"})
    assert answer.status_code == 200, answer.text
    assert f'<html lang="{language}"' in answer.text
    return answer.text


async def trial(world: World) -> tuple[str, str]:
    """A bundle on trial with figures of three presses."""
    bundle_id = await world.bundle_id()
    begun = await world.post("/rollouts", 201, bundle_id=bundle_id, why="to see it")
    order = await world.keep()
    figures = Figures(shots=40, over=1, latency_p99_ms=0.3, drift_worst="CycleTime", drift_psi=0.2)
    await world.report(order, "f" * 12, {bundle_id: figures, "f" * 12: Figures(shots=40)})
    await world.keep()
    return bundle_id, str(begun["rollout_id"])


@pytest.mark.parametrize("language", LANGUAGES)
async def test_registry_card_and_trial_are_shown(world: World, language: str) -> None:
    headers, _ = await engineer(world)
    empty = await page(world, "/models", headers, language)
    assert LANGUAGES[language] in empty
    bundle_id, rollout_id = await trial(world)
    registry = await page(world, "/models", headers, language)
    assert f"/models/bundles/{bundle_id}" in registry
    assert f"/models/trials/{rollout_id}" in registry
    assert "m2" in registry
    card = await page(world, f"/models/bundles/{bundle_id}", headers, language)
    assert {"en": "area under the ROC curve", "zh-CN": "ROC 曲线下面积"}[language] in card
    assert 'class="plot"' not in card, "nothing is known of its reliability"
    assert "a test" in card
    assert card.count('class="limit"') == 18, "nine deciles of two features"
    shown = await page(world, f"/models/trials/{rollout_id}", headers, language)
    assert len(re.findall(r'<th scope="row"', shown)) == 3
    chart = (await world.client.get(f"/models/trials/{rollout_id}/guards.json?lang={language}", headers=headers)).json()
    assert len(chart["panels"]) == 3
    assert chart["panels"][0]["series"][0]["values"] == [2.5]


async def test_what_drifts_freezes_and_stays_away_on_a_press_is_named_on_the_trial_s_page(world: World) -> None:
    headers, _ = await engineer(world)
    bundle_id = await world.bundle_id()
    begun = await world.post("/rollouts", 201, bundle_id=bundle_id, why="to see it")
    order = await world.keep()
    figures = Figures(
        shots=200,
        silent=20,
        drifted_share=0.25,
        strange_share=0.125,
        drift_worst="CycleTime",
        drift_psi=4.13,
        missing=("CushionStroke", "OilTemperature"),
        scores_watched=10,
        scores_drifted_share=0.3,
        score_worst="FailureProbability/check_ring_wear@72h",
        score_times=4.2,
    )
    await world.report(order, "f" * 12, {bundle_id: figures})
    await world.keep()
    shown = await page(world, f"/models/trials/{begun['rollout_id']}", headers)
    row = " ".join(re.sub("<[^>]*>", " ", shown.split('<th scope="row"')[1].split("</tr>")[0]).split())
    row = row.replace("\xa0", " ").replace("\u202f", " ")
    assert row.endswith("12 % 25 % Cycle time 4.1 30 % Check-ring wear, within 72 h × 4.2 Cushion, Oil temperature"), (
        "strange, drifted with the worst, scores, missing"
    )
    presses = (await world.get("/gateways"))[0]["presses"]
    assert Figures.model_validate(presses["m1"]["figures"][bundle_id]) == figures, "the same by the API"


@pytest.mark.parametrize("language", LANGUAGES)
async def test_the_drift_of_the_standing_champion_is_shown_by_press_worst_first(world: World, language: str) -> None:
    headers, _ = await engineer(world)
    waiting = await page(world, "/models/drift", headers, language)
    assert "<table" not in waiting
    assert {"en": "waits for a gateway", "zh-CN": "等待网关上报"}[language] in waiting
    told = {"watched": 2, "mould_id": "M"}
    key = f"FailureProbability/{FAILURE_MODES[0]}"
    of_presses = {
        "m1": Figures(shots=9, watched_shots=9, **told),
        "m4": Figures(shots=500, watched_shots=500, drifted={"CycleTime": 0.5}, drifted_share=0.15, **told),
        "m2": Figures(shots=500, watched_shots=500, scores_moved={key: 0.2}, scores_drifted_share=0.1, **told),
        "m3": Figures(shots=500, watched_shots=500, drifted={"CycleTime": 3.2}, missing=("OilTemperature",), **told),
    }
    champion = "f" * 12
    presses = {
        press: PressReport(champion=champion, figures={champion: figures}) for press, figures in of_presses.items()
    }
    await world.tell(Report(presses=presses).model_dump_json())
    shown = await page(world, "/models/drift", headers, language)
    assert re.findall(r'presses/(m\d)"', shown) == ["m3", "m2", "m4", "m1"]
    assert "150" in shown, "what m1 waits for"
    assert shown.count("tone-watch") == 2, "a score beyond its bounds, and what is missing"
    assert "× 0.2" in shown
    assert {"en": "missing: 2", "zh-CN": "：2"}[language] in await page(world, "/models", headers, language)
    by_api = (await world.get("/gateways"))[0]["presses"]["m3"]["figures"][champion]
    assert (by_api["drifted"], by_api["missing"]) == ({"CycleTime": 3.2}, ["OilTemperature"])


async def test_an_engineer_uploads_tries_advances_and_stops(world: World) -> None:
    headers, form = await engineer(world)
    files = {"bundle": ("b.zip", world.bundle(), "application/zip")}
    token = {"X-CSRF-Token": form["csrf_token"]}
    uploaded = await world.client.post("/models/upload", files=files, headers={**headers, **token})
    assert uploaded.status_code == 303, uploaded.text
    card = uploaded.headers["location"]
    begun = await world.client.post(f"{card}/try", data={**form, "why": "new"}, headers=headers)
    assert begun.status_code == 303, begun.text
    path = begun.headers["location"]
    for _ in range(2):  # the second click is of an old page
        answer = await world.client.post(f"{path}/advance", data={**form, "stage": "shadow"}, headers=headers)
    assert answer.status_code == 409
    assert "stage canary" in answer.text
    assert (await world.client.post(f"{path}/stop", data=form, headers=headers)).status_code == 303
    assert (await world.get("/rollouts"))["items"][0]["outcome"] == "stopped"


async def test_a_refused_upload_says_why_on_the_page(world: World) -> None:
    headers, form = await engineer(world)
    files = {"bundle": ("b.zip", world.bundle(is_signed=False), "application/zip")}
    headers["X-CSRF-Token"] = form["csrf_token"]
    answer = await world.client.post("/models/upload", files=files, headers=headers)
    assert (answer.status_code, "is not signed" in answer.text) == (422, True)
    swapped = await world.client.post("/models/upload", files=files, headers={**headers, "HX-Request": "true"})
    assert (swapped.status_code, "is not signed" in swapped.text, "<html" in swapped.text) == (200, True, False)


async def test_who_may_only_read_sees_no_forms(world: World) -> None:
    bundle_id, rollout_id = await trial(world)
    viewer = await session_headers(world.cloud, "viewer", Role.VIEWER)
    headers = {"Cookie": viewer["Cookie"], "Authorization": ""}
    for path in ("/models", f"/models/bundles/{bundle_id}", f"/models/trials/{rollout_id}"):
        assert 'action="/models' not in await page(world, path, headers)


@pytest.mark.parametrize("form", [{}, {"csrf_token": "x"}])
async def test_a_form_of_another_site_changes_nothing(world: World, form: dict[str, str]) -> None:
    bundle_id, rollout_id = await trial(world)
    headers, _ = await engineer(world)
    for path in ("/upload", f"/bundles/{bundle_id}/try", f"/trials/{rollout_id}/advance", f"/trials/{rollout_id}/stop"):
        answer = await world.client.post(f"/models{path}", data=form, headers=headers)
        assert answer.status_code == 403, path
    assert (await world.get(f"/rollouts/{rollout_id}"))["stage"] == "shadow"


async def raised(world: World) -> None:
    """An alarm of press m1."""
    now_ms = world.clock.utc_ms()
    world.cloud.store.write([IncomingShot(GATEWAY, "e", n, now_ms, False, scored(n, now_ms)) for n in range(1, 7)])
    async with world.cloud.database.transaction() as session:
        await world.cloud.fleet.shots_seen(session, [SeenShot("p", "g", "m1", now_ms, now_ms)])
    await world.cloud.alarm_consumer.consume_batch()


async def test_a_verdict_is_seen_at_once_on_the_open_pages_of_others(world: World) -> None:
    await raised(world)
    headers, form = await engineer(world)
    found = re.findall(r'formaction="(/alarms/[0-9a-f-]+/label\?verdict=false)"', await page(world, "/alarms", headers))
    key = AlarmsKey(DEFAULT_TENANT, "en", wanted_of({}))
    async with aclosing(world.app.state.pages.alarms.feeds.open(key)) as events:
        assert b"retry" in await anext(events)
        assert b"Judged:" not in await anext(events)
        assert (await world.client.post(found[0], data=form, headers=headers)).status_code == 303
        world.clock.advance(1)
        with anyio.fail_after(5):
            assert b"Judged: <b>false alarm" in await anext(events)


async def test_an_alarm_is_judged_from_its_row(world: World) -> None:
    await raised(world)
    headers, form = await engineer(world)
    found = re.findall(r'formaction="(/alarms/[0-9a-f-]+/label\?verdict=\w+)"', await page(world, "/alarms", headers))
    assert [path.partition("=")[2] for path in found] == ["true", "false", "maintenance_done"]
    assert (await world.client.post(found[1], data=form, headers=headers)).status_code == 303
    for language, word in {"en": "Judged: <b>false alarm", "zh-CN": "判断： <b>误报"}.items():
        assert word in await page(world, "/alarms", headers, language)
    assert await world.get("/labels/counts") == {"true": 0, "false": 1, "maintenance_done": 0}
    assert "<b>1</b>" in await page(world, "/models", headers)


async def test_what_does_not_exist_says_so(world: World) -> None:
    headers, _ = await engineer(world)
    missing: Any = ("/models/bundles/0123456789ab", f"/models/trials/{'0' * 8}-0000-7000-8000-{'0' * 12}")
    for path in missing:
        assert (await world.client.get(path, headers=headers)).status_code == 404
