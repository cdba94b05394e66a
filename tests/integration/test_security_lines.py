"""Lines of docs/reference/security.md that no other test shows: sign-ins are on record, a double parameter is one."""

from pathlib import Path

import pytest

from cloud.identity import domain
from tests.integration.identity_world import FIRST, PASSWORD, csrf, world

pytestmark = pytest.mark.anyio


async def test_every_decision_on_signing_in_is_in_the_audit_log(tmp_path: Path) -> None:
    """Let in, refused, locked out, unknown, and out again; 7.2.1."""
    async with world(tmp_path) as made:
        admin = await made.set_up()
        form = {"login": FIRST["login"], "password": PASSWORD}
        browser = made.browser()
        assert (await browser.post("/login", data=form)).status_code == 303
        assert (await browser.post("/logout", headers=await csrf(browser))).status_code == 303
        assert (await made.browser().post("/login", data=form | {"login": "nobody"})).status_code == 401
        for _ in range(domain.FREE_FAILURES + 1):
            assert (await made.browser().post("/login", data=form | {"password": "of another"})).status_code == 401
        assert (await made.browser().post("/login", data=form)).status_code != 303
        lines = (await admin.get("/api/v1/audit", params={"limit": 200})).json()["items"]
    told = [(line["action"], line["target"] == "user:unknown") for line in reversed(lines)]
    assert [each for each in told if each[0].startswith("sign")] == [
        ("signed_in", False),
        ("signed_out", False),
        ("sign_in_failed", True),
        *[("sign_in_failed", False)] * (domain.FREE_FAILURES + 1),
        ("sign_in_locked", False),
    ]
    assert all(line["address"] for line in lines if line["action"].startswith("sign"))


async def test_a_parameter_given_twice_is_checked_as_the_one_that_is_used(tmp_path: Path) -> None:
    """No check looks at the first and no query at the second; 5.1.1."""
    async with world(tmp_path) as made:
        admin = await made.set_up()
        for limits, status in (([1, 1_000_000], 422), ([1_000_000, 1], 200), (["x", 1], 200), ([1, "x"], 422)):
            answer = await admin.get("/api/v1/audit", params=[("limit", limit) for limit in limits])
            assert answer.status_code == status, limits
            assert status != 200 or len(answer.json()["items"]) == 1
