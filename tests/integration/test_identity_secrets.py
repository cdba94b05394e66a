"""One person's whole way in and out, with every mistake on it: what the log and the audit log tell, and what never."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from cloud.identity.cookies import COOKIE
from tests.integration.identity_world import FIRST, PASSWORD, csrf, world

pytestmark = pytest.mark.anyio
WRONG = "a password of another site"
NEW = "another calm press"


async def test_no_log_and_no_audit_line_holds_a_secret(tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with world(tmp_path) as made:
            setup_token = made.setup_token()
            admin = await made.set_up()
            first_cookie, headers = admin.cookies[COOKIE], await csrf(admin)
            for login in (FIRST["login"], WRONG):  # a password in the field of the login
                form = {"login": login, "password": WRONG}
                assert (await made.browser().post("/login", data=form)).status_code == 401
            invited = await admin.post(
                "/api/v1/people", json={"login": "li", "name": "Li", "roles": ["viewer"]}, headers=headers
            )
            link = invited.json()["link"].partition("token=")[2]
            await made.browser().get(f"/welcome/{link}")
            await made.browser().get("/welcome", params={"token": link + "x"})
            body = {"name": "line", "rights": ["read"]}
            key = (await admin.post("/api/v1/keys", json=body, headers=headers)).json()["text"]
            for sent in (key, key[:-1]):
                await made.browser().get("/api/v1/people", headers={"Authorization": f"Bearer {sent}"})
            await made.browser().get("/api/v1/nothing", headers={"Cookie": f"{COOKIE}={first_cookie}x"})
            form = {"old": PASSWORD, "password": NEW, "again": NEW}
            assert (await admin.post("/account/password", data=form, headers=headers)).status_code == 303
            cookie = admin.cookies[COOKIE]
            lines = (await admin.get("/api/v1/audit", params={"limit": 200})).text
            await admin.post("/logout", headers=await csrf(admin))
    told = repr(logs)
    secrets = (setup_token, PASSWORD, WRONG, NEW, link, key, key[-43:], first_cookie, cookie, headers["X-CSRF-Token"])
    assert [secret for secret in secrets if secret in told or secret in lines] == []
    stored = _stored(tmp_path)
    assert b"$argon2id$" in stored, "this is where accounts are kept"
    assert [secret for secret in secrets if secret.encode() in stored] == []
    assert {"nobody_has_an_account", "access_refused"} <= {line["event"] for line in logs}
    for action in ("installation_set_up", "sign_in_failed", "person_invited", "api_key_made", "password_changed"):
        assert f'"{action}"' in lines
    assert '"user:unknown"' in lines, "a try with a login that nobody has is noted, without what was typed"


def _stored(folder: Path) -> bytes:
    """All that the databases hold, their logs too."""
    return b"".join(path.read_bytes() for path in folder.rglob("*.sqlite*"))
