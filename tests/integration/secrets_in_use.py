"""Every secret used as its owner uses it, against a running cloud; what was learnt on the way is secret as well."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import numpy as np
from paho.mqtt import publish

from cloud.identity import setup_file
from cloud.identity.cookies import COOKIE
from contract import shot_wire, standing
from contract.shot import ScoredShot, Scores, Shot
from contract.sparkplug.codec import encode_metrics
from contract.sparkplug.edge_node import EdgeNodeSession
from contract.standing import Standing
from edge_agent.aliases import AliasTable
from tests.integration.gateway_identity_world import csr_of, new_key

PERSON = {"sub": "anna", "name": "Anna", "email": "anna@plant.example", "email_verified": True}
EPOCH = "00000000-0000-0000-0000-000000000002"
PRESS, SHOTS = "m2", 8
Learnt = dict[str, str]


def account(url: str, folder: Path, password: str, new_password: str) -> Learnt:
    """Set up, make and use an API key, claim a gateway, change the password, sign out and in again."""
    learnt = {"setup token": (setup_file.read(folder) or "").partition("token=")[2]}
    with httpx.Client(base_url=url, headers={"Origin": url}) as browser:
        form = {"login": "boss", "name": "Boss", "password": password, "again": password}
        assert browser.post("/setup", data={**form, "token": learnt["setup token"]}).status_code == 303
        learnt["first session"] = browser.cookies[COOKIE]
        token = learnt["csrf token"] = csrf(browser)
        headers = {"X-CSRF-Token": token}
        made = browser.post("/api/v1/keys", json={"name": "reports", "rights": ["read"]}, headers=headers)
        assert made.status_code == 201, made.text
        key = learnt["made API key"] = made.json()["text"]
        assert httpx.get(f"{url}/api/v1/alarms", headers={"Authorization": f"Bearer {key}"}).status_code == 200
        learnt |= claimed(browser, headers)
        change = {"old": password, "password": new_password, "again": new_password, "csrf_token": token}
        changed = browser.post("/account/password", data=change)
        assert changed.headers["location"] == "/account?changed=1"
        learnt["second session"] = browser.cookies[COOKIE]
        assert browser.post("/logout", data={"csrf_token": csrf(browser)}).status_code == 303
        assert browser.post("/login", data={"login": "boss", "password": password}).status_code == 401
        assert browser.post("/login", data={"login": "boss", "password": new_password}).status_code == 303
        learnt["third session"] = browser.cookies[COOKIE]
    return learnt


def claimed(browser: httpx.Client, headers: dict[str, str]) -> Learnt:
    """A claim token that is good, and used."""
    plant = {"plant": "north", "gateway": "gw-1"}
    token = str(browser.post("/api/v1/gateways/claims", json=plant, headers=headers).json()["token"])
    request = {"token": token, "csr": csr_of(new_key())}
    answer = httpx.post(str(browser.base_url.join("/api/v1/gateways/claim")), json=request)
    assert answer.status_code == 200, answer.text
    return {"claim token": token}


def sign_on(url: str) -> Learnt:
    """Out to the provider and back, to an account that is made for it."""
    with ExitStack() as stack:
        browser = stack.enter_context(httpx.Client(base_url=url))
        provider = stack.enter_context(httpx.Client(trust_env=False))
        out = browser.get("/login/oidc/plant").headers["location"]
        question = parse_qs(urlsplit(out).query)
        learnt = {"attempt": browser.cookies["zhisan_sign_on"]}
        back = provider.post(out, data={"sub": PERSON["sub"]}).headers["location"]
        answer = parse_qs(urlsplit(back).query)
        signed_in = browser.get(back)
        assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/"), signed_in.text
        assert browser.get("/api/v1/me").json()["name"] == PERSON["email"]
        own = {"state": question["state"][0], "nonce": question["nonce"][0], "code": answer["code"][0]}
        return {**learnt, **own, "provider's session": browser.cookies[COOKIE]}


def call_webhook(mqtt_port: int, password: str, was_called: Callable[[], bool], wait_s_max: float) -> None:
    """Shots of a press that wears out: the alarm calls the endpoint, signed with its secret."""
    auth: Any = {"username": "zhisan", "password": password}
    messages: Any = [{"topic": topic, "payload": payload, "qos": 1} for topic, payload in worn_press()]
    publish.multiple(messages, port=mqtt_port, hostname="127.0.0.1", auth=auth, client_id="north-gw-9")
    ends_s = time.monotonic() + wait_s_max
    while not was_called():
        assert time.monotonic() < ends_s, "the endpoint was not called"
        time.sleep(0.1)


def worn_press() -> list[tuple[str, bytes]]:
    """Births and shots of a gateway with one press."""
    now_ms, aliases, session = time.time_ns() // 1_000_000, AliasTable(()), EdgeNodeSession("north", "gw-9")
    aliases.add_press(PRESS)
    alias_of = aliases.of(PRESS)
    scores = Scores("b", {"FailureProbability/check_ring_wear": 0.95})
    bodies = []
    for record_id in range(1, SHOTS + 1):
        scored = ScoredShot(Shot(PRESS, now_ms + record_id, {"CycleTime": 9.0}), np.ones(3, np.float32), "h", scores)
        head = encode_metrics(shot_wire.head_metrics(EPOCH, record_id, now_ms, alias_of))
        bodies.append(head + encode_metrics(shot_wire.body_metrics(scored, alias_of)))
    session.connect(0)
    session.connected()
    node = standing.birth_metrics(Standing(EPOCH, EPOCH, 1, 1, 1, 1))
    births = session.birth(node, {PRESS: aliases.birth_metrics(PRESS, now_ms)}, now_ms)
    sent = [*births, *(session.device_data(PRESS, body, now_ms) for body in bodies)]
    return [(message.topic, message.payload) for message in sent]


def csrf(browser: httpx.Client) -> str:
    page = browser.get("/account").text
    return page.partition('name="csrf_token" value="')[2].partition('"')[0]
