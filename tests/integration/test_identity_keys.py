"""API keys never do more than their makers may: what a person loses, the keys lose with the next request."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from alembic import command

from cloud.core.access import RIGHTS, Right, Role
from cloud.migrations.upgrade import configuration
from tests.integration.identity_world import World, csrf, world

pytestmark = pytest.mark.anyio
MAKER = "Li@plant"


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as made:
        yield made


async def key_of(browser: httpx.AsyncClient, *rights: Right) -> dict[str, str]:
    """The headers of a program with a new key of whoever is signed in there."""
    body = {"name": "line", "rights": rights}
    answer = await browser.post("/api/v1/keys", json=body, headers=await csrf(browser))
    assert answer.status_code == 201, answer.text
    return {"Authorization": f"Bearer {answer.json()['text']}"}


async def rights(made: World, key: dict[str, str]) -> list[str] | int:
    """What a key may do, or the status with which it is refused."""
    answer = await made.browser().get("/api/v1/me", headers=key)
    return list(answer.json()["rights"]) if answer.status_code == 200 else answer.status_code


async def maker(made: World, admin: httpx.AsyncClient) -> tuple[httpx.AsyncClient, str]:
    browser = await made.member(admin, MAKER, Role.TENANT_ADMIN)
    people = (await admin.get("/api/v1/people")).json()["items"]
    return browser, next(person["user_id"] for person in people if person["login"] == MAKER.casefold())


async def test_a_key_loses_what_its_maker_loses_and_gets_it_back_with_the_role(made: World) -> None:
    admin = await made.set_up()
    browser, maker_id = await maker(made, admin)
    key = await key_of(browser, Right.READ, Right.MANAGE_PEOPLE)
    only_people = await key_of(browser, Right.MANAGE_PEOPLE)

    async def become(role: Role) -> None:
        path, headers = f"/api/v1/people/{maker_id}/roles", await csrf(admin)
        assert (await admin.put(path, json={"roles": [role]}, headers=headers)).status_code == 200

    await become(Role.VIEWER)
    assert await rights(made, key) == ["read"]
    assert (await made.browser().get("/api/v1/people", headers=key)).status_code == 403
    assert await rights(made, only_people) == 401
    shown = (await admin.get("/api/v1/keys")).json()["items"]
    assert sorted(one["rights"] for one in shown) == [[], ["read"]], "the list says what is left"
    for language, words in (("en", "its maker has lost them"), ("zh-CN", "创建者已失去这些权限")):
        assert words in (await admin.get("/keys", headers={"Accept-Language": language})).text
    await become(Role.TENANT_ADMIN)
    assert await rights(made, key) == ["manage_people", "read"]
    assert await rights(made, only_people) == ["manage_people"]


async def test_a_key_ends_with_its_maker_and_so_does_one_that_it_has_made_itself(made: World) -> None:
    admin = await made.set_up()
    browser, maker_id = await maker(made, admin)
    parent = await key_of(browser, *sorted(RIGHTS[Role.TENANT_ADMIN]))
    async with made.browser() as program:
        answer = await program.post("/api/v1/keys", json={"name": "child", "rights": ["read"]}, headers=parent)
    child = {"Authorization": f"Bearer {answer.json()['text']}"}
    others = await key_of(admin, Right.READ)
    assert await rights(made, child) == ["read"]
    assert (await admin.delete(f"/api/v1/people/{maker_id}", headers=await csrf(admin))).status_code == 204
    assert [await rights(made, key) for key in (parent, child, others)] == [401, 401, ["read"]]


async def test_keys_of_before_learn_their_makers_from_the_audit_log(made: World) -> None:
    admin = await made.set_up()
    browser, maker_id = await maker(made, admin)
    key = await key_of(browser, Right.READ)
    for step in (
        lambda c: command.downgrade(configuration(c), "0007"),
        lambda c: command.upgrade(configuration(c), "head"),
    ):
        async with made.cloud.database.schema_change() as connection:
            await connection.run_sync(step)
    assert await rights(made, key) == ["read"]
    assert (await admin.delete(f"/api/v1/people/{maker_id}", headers=await csrf(admin))).status_code == 204
    assert await rights(made, key) == 401


async def test_a_disabled_maker_s_keys_are_refused_whatever_roles_are_left(made: World) -> None:
    admin = await made.set_up()
    browser, maker_id = await maker(made, admin)
    key = await key_of(browser, Right.READ)
    async with made.cloud.database.transaction() as session:
        user = await made.cloud.identity.people._member(session, "default", maker_id)
        user.is_disabled = True
    assert await rights(made, key) == 401
