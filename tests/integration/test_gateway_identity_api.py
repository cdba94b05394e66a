"""The API of gateway identity: claims, renewals, revocations, who may, and what is written about it."""

import base64
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import text
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from cloud.core.access import Role
from cloud.gateways.domain import CLOCK_OFF_MS_MAX, DAY_MS, GatewayRules
from cloud.gateways.jobs import DISTANT_EVICTION_AFTER_S
from contract.gateway_identity import renewal_statement
from kit.clock import ManualClock
from tests.integration.gateway_identity_world import World, common_name, csr_of, new_key, principal, until, world

pytestmark = pytest.mark.anyio
RULES = GatewayRules(broker_host="broker.example", broker_port=8883)
CLAIM, RENEW = "/api/v1/gateways/claim", "/api/v1/gateways/renew"


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path, RULES, clock=ManualClock()) as made:
        yield made


def renewal(made: World, certificate_pem: str, key: ec.EllipticCurvePrivateKey, **changes: Any) -> dict[str, Any]:
    values = {
        "certificate": certificate_pem,
        "csr": csr_of(new_key()),
        "signed_at_ms": made.clock.utc_ms(),
        "nonce": secrets.token_urlsafe(24),
        **{name: value for name, value in changes.items() if name != "signer"},
    }
    statement = renewal_statement(values["certificate"], values["csr"], values["signed_at_ms"], values["nonce"])
    signature = changes.get("signer", key).sign(statement, ec.ECDSA(hashes.SHA256()))
    return {"signature": base64.b64encode(signature).decode(), **values}


async def claim(made: World, plant: str = "north", gateway: str = "gw-1") -> tuple[dict[str, Any], Any]:
    token, key = await made.token(plant, gateway), new_key()
    answer = await made.client.post(CLAIM, json={"token": token, "csr": csr_of(key)})
    assert answer.status_code == 200, answer.text
    return answer.json(), key


async def test_a_claim_gives_a_certificate_of_ours_for_the_gateways_own_key(made: World) -> None:
    answer, key = await claim(made)
    certificate = x509.load_pem_x509_certificate(answer["certificate_pem"].encode())
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(answer["chain_pem"].encode()))
    assert certificate.public_key() == key.public_key()
    assert common_name(answer["certificate_pem"]) == "north/gw-1"
    assert (answer["broker_host"], answer["broker_port"], answer["host_id"]) == ("broker.example", 8883, "zhisan")
    assert answer["expires_ms"] == made.clock.utc_ms() + 90 * DAY_MS
    assert "PRIVATE" not in str(answer)


async def test_wrong_expired_used_and_void_tokens_get_the_same_answer(made: World) -> None:
    csr, answers = csr_of(new_key()), []
    used, void = await made.token(), None
    assert (await made.client.post(CLAIM, json={"token": used, "csr": csr})).status_code == 200
    void = await made.token("north", "gw-2")
    expired = await made.token("north", "gw-2")  # the one before is void by it
    wrong = (used, void, "zgc_" + secrets.token_urlsafe(32), "x")
    answers += [await made.client.post(CLAIM, json={"token": token, "csr": csr}) for token in wrong]
    made.clock.advance(3600.0)  # type: ignore[union-attr]
    answers.append(await made.client.post(CLAIM, json={"token": expired, "csr": csr}))
    assert {(answer.status_code, answer.json()["detail"]) for answer in answers} == {
        (403, "The claim token is wrong, expired or used. Make a new one on the page Gateways.")
    }


async def test_a_bad_request_does_not_spend_the_token(made: World) -> None:
    token = await made.token()
    for csr in ("garbage", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"):
        answer = await made.client.post(CLAIM, json={"token": token, "csr": csr})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "body.csr"
    assert (await made.client.post(CLAIM, json={"token": token, "csr": "x" * 5_000})).status_code == 422
    assert (await made.client.post(CLAIM, json={"token": token, "csr": csr_of(new_key())})).status_code == 200


async def test_one_address_may_try_only_so_often(made: World) -> None:
    statuses = [
        (await made.client.post(CLAIM, json={"token": "x", "csr": csr_of(new_key())})).status_code for _ in range(14)
    ]
    assert statuses == [403] * 10 + [429] * 4
    made.clock.advance(5.0)  # type: ignore[union-attr]
    answer = await made.client.post(CLAIM, json={"token": "x", "csr": csr_of(new_key())})
    assert answer.status_code == 403
    answer = await made.client.post(CLAIM, json={"token": "x", "csr": "x"})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")


async def test_who_guesses_from_one_address_blocks_no_other_one_also_behind_a_proxy(made: World) -> None:
    """As uvicorn serves us: a proxy on loopback is believed whom it speaks for, and nobody else is."""
    served = ProxyHeadersMiddleware(made.who, trusted_hosts="127.0.0.1")  # type: ignore[arg-type]
    token, wrong = await made.token(), {"token": "x", "csr": csr_of(new_key())}

    async def ask(peer: str, told: str, body: dict[str, str]) -> int:
        transport = httpx.ASGITransport(served, client=(peer, 1))  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://cloud") as client:
            return (await client.post(CLAIM, json=body, headers={"X-Forwarded-For": told})).status_code

    statuses = [await ask("127.0.0.1", f"10.9.9.{number}, 192.0.2.66", wrong) for number in range(12)]
    assert statuses == [403] * 10 + [429] * 2, "what a guesser puts before the proxy's own word is not believed"
    direct = [await ask("192.0.2.67", f"10.9.9.{number}", wrong) for number in range(12)]
    assert direct == [403] * 10 + [429] * 2, "who is no proxy speaks for nobody"
    assert await ask("127.0.0.1", "192.0.2.1", {"token": token, "csr": csr_of(new_key())}) == 200


async def test_a_renewal_is_granted_to_who_holds_the_old_key(made: World) -> None:
    first, key = await claim(made)
    made.clock.advance(61 * 86_400.0)  # type: ignore[union-attr]
    answer = await made.client.post(RENEW, json=renewal(made, first["certificate_pem"], key))
    assert answer.status_code == 200, answer.text
    assert common_name(answer.json()["certificate_pem"]) == "north/gw-1"
    assert answer.json()["expires_ms"] == made.clock.utc_ms() + 90 * DAY_MS
    lost = await made.client.post(RENEW, json=renewal(made, first["certificate_pem"], key))
    assert lost.status_code == 200, "the answer was lost: the old certificate still asks"
    async with made.database.reading() as session:
        rows = (await session.execute(text("SELECT revoked_ms IS NULL FROM gateway_certificates ORDER BY rowid"))).all()
    assert [bool(good) for (good,) in rows] == [True, False, True], "the lost one is revoked"


async def test_who_cannot_prove_it_gets_no_renewal(made: World) -> None:
    first, key = await claim(made)
    pem, now_ms = first["certificate_pem"], made.clock.utc_ms()
    stranger = new_key()
    self_made = made.parts.identities.authority().issue_client(
        stranger.public_key(), "north/gw-1", now_ms=now_ms, life_ms=DAY_MS
    )
    other_csr = renewal(made, pem, key) | {"csr": csr_of(new_key())}
    once = renewal(made, pem, key)
    refused = {
        "another's key": renewal(made, pem, key, signer=stranger),
        "another request than signed": other_csr,
        "signed too long ago": renewal(made, pem, key, signed_at_ms=now_ms - CLOCK_OFF_MS_MAX - 1),
        "signed too far ahead": renewal(made, pem, key, signed_at_ms=now_ms + CLOCK_OFF_MS_MAX + 1),
        "serial unknown": renewal(made, self_made.certificate_pem, stranger),
        "no signature": renewal(made, pem, key) | {"signature": ""},
    }
    for name, body in refused.items():
        assert (await made.client.post(RENEW, json=body)).status_code == 403, name
    made.clock.advance(60.0)  # type: ignore[union-attr]
    assert (await made.client.post(RENEW, json=once)).status_code == 200
    assert (await made.client.post(RENEW, json=once)).status_code == 403, "replayed"
    made.clock.advance(91 * 86_400.0)  # type: ignore[union-attr]
    assert (await made.client.post(RENEW, json=renewal(made, pem, key))).status_code == 403, "expired"


async def test_a_revoked_gateway_is_refused_everywhere_until_it_is_claimed_again(made: World) -> None:
    first, key = await claim(made)
    open_token = await made.token()
    answer = await made.client.post("/api/v1/gateways/north/gw-1/revoke", json={"reason": "stolen"})
    assert (answer.status_code, answer.json()["revoked_reason"]) == (200, "stolen")
    await made.parts.follower.load()
    assert made.parts.registry.is_refused("north", "gw-1")
    assert (await made.client.post(RENEW, json=renewal(made, first["certificate_pem"], key))).status_code == 403
    spent = await made.client.post(CLAIM, json={"token": open_token, "csr": csr_of(new_key())})
    assert spent.status_code == 403, "revoking takes back what was about to be claimed"
    await claim(made)
    await made.parts.follower.load()
    assert not made.parts.registry.is_refused("north", "gw-1")
    assert (await made.client.post(RENEW, json=renewal(made, first["certificate_pem"], key))).status_code == 403


async def test_a_tenant_touches_only_its_own(made: World) -> None:
    await claim(made)
    made.who.who = principal(tenant_id="other")
    taken = await made.client.post("/api/v1/gateways/claims", json={"plant": "north", "gateway": "gw-1"})
    assert taken.status_code == 409
    assert (await made.client.post("/api/v1/gateways/north/gw-1/revoke", json={"reason": "x"})).status_code == 404
    assert (await made.client.get("/api/v1/gateways/identities")).json()["items"] == []
    await claim(made, "south", "gw-1")
    assert (await made.client.get("/api/v1/gateways/broker/access")).status_code == 404
    async with made.database.reading() as session:
        owner = (await session.execute(text("SELECT tenant_id FROM plants WHERE plant_id = 'south'"))).scalar_one()
    assert owner == "other"


async def test_who_may_not_manage_gateways_changes_nothing(made: World) -> None:
    for who in (None, principal(Role.ENGINEER)):
        made.who.who = who
        for path, body in (("claims", {"plant": "p", "gateway": "g"}), ("p/g/revoke", {"reason": "x"})):
            assert (await made.client.post(f"/api/v1/gateways/{path}", json=body)).status_code >= 400
    async with made.database.reading() as session:
        assert (await session.execute(text("SELECT count(*) FROM gateway_claims"))).scalar_one() == 0


@pytest.mark.parametrize(
    ("plant", "gateway"), [("a b", "g"), ("STATE", "g"), ("p", "a/b"), ("p", "#"), ("厂" * 15, "网" * 15)]
)
async def test_ids_that_fit_no_topic_or_certificate_are_refused(made: World, plant: str, gateway: str) -> None:
    answer = await made.client.post("/api/v1/gateways/claims", json={"plant": plant, "gateway": gateway})
    assert answer.status_code == 422


async def test_every_step_is_in_the_audit_log_and_no_secret_is(made: World) -> None:
    token, key = await made.token(), new_key()
    first = (await made.client.post(CLAIM, json={"token": token, "csr": csr_of(key)})).json()
    await made.client.post(RENEW, json=renewal(made, first["certificate_pem"], key))
    await made.client.post("/api/v1/gateways/north/gw-1/revoke", json={"reason": "worn out"})
    async with made.database.reading() as session:
        rows = (await session.execute(text("SELECT * FROM audit ORDER BY audit_id"))).mappings().all()
        claims = (await session.execute(text("SELECT * FROM gateway_claims"))).mappings().all()
    assert [(row["action"], row["actor_kind"], row["target"]) for row in rows] == [
        ("gateway_claim_created", "user", "gateway:north/gw-1"),
        ("gateway_claimed", "gateway", "gateway:north/gw-1"),
        ("gateway_certificate_renewed", "gateway", "gateway:north/gw-1"),
        ("gateway_revoked", "user", "gateway:north/gw-1"),
    ]
    assert token not in str(rows) + str(claims)
    assert claims[0]["token_hash"] not in str(rows)


async def test_the_lists_for_a_distant_broker_are_those_on_disk(made: World) -> None:
    await claim(made)
    assert (await made.client.get("/api/v1/gateways/broker/access")).status_code == 404
    await made.parts.keeper.keep()
    access = await made.client.get("/api/v1/gateways/broker/access")
    assert "user north/gw-1\n" in access.text
    crl = x509.load_pem_x509_crl((await made.client.get("/api/v1/gateways/broker/crl.pem")).content)
    assert len(crl) == 0
    for name in ("server.key", "..%2Fca%2Fca.key", "ca.pem"):
        assert (await made.client.get(f"/api/v1/gateways/broker/{name}")).status_code == 404


async def test_the_lists_of_a_second_revocation_do_not_wait_for_the_first_one_s_cutting_off(made: World) -> None:
    """No reload is set: the broker is a distant one."""
    first = x509.load_pem_x509_certificate((await claim(made))[0]["certificate_pem"].encode())
    second = x509.load_pem_x509_certificate((await claim(made, gateway="gw-2"))[0]["certificate_pem"].encode())
    lists, cut_off = made.folder / "cloud" / "broker" / "crl.pem", list[tuple[str, str]]()

    async def note(gateway: tuple[str, str]) -> None:
        cut_off.append(gateway)

    def revoked() -> set[int]:
        crl = x509.load_pem_x509_crl(lists.read_bytes())
        return {serial for serial in (first.serial_number, second.serial_number) if listed(crl, serial)}

    def listed(crl: x509.CertificateRevocationList, serial: int) -> bool:
        return crl.get_revoked_certificate_by_serial_number(serial) is not None

    made.parts.keeper._cutting_off._cut_off = note
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(made.parts.keeper.run)
        for gateway, serial in (("gw-1", first.serial_number), ("gw-2", second.serial_number)):
            answer = await made.client.post(f"/api/v1/gateways/north/{gateway}/revoke", json={"reason": "stolen"})
            assert answer.status_code == 200
            await until(lambda number=serial: lists.exists() and number in revoked(), 5)  # type: ignore[misc]
        await until(lambda: len(made.parts.keeper._cutting_off._planned) == 2, 5)
        assert cut_off == []
        made.clock.advance(DISTANT_EVICTION_AFTER_S)  # type: ignore[union-attr]
        made.parts.keeper._cutting_off.plan([], in_s=0.0)  # it looks at the clock again
        await until(lambda: len(cut_off) == 2, 5)
        tasks.cancel_scope.cancel()
    assert sorted(cut_off) == [("north", "gw-1"), ("north", "gw-2")]


async def test_without_a_broker_there_are_no_claims_and_no_authority(tmp_path: Path) -> None:
    async with world(tmp_path, GatewayRules()) as made:
        answer = await made.client.post("/api/v1/gateways/claims", json={"plant": "p", "gateway": "g"})
        assert answer.status_code == 409
        assert "broker_host" in answer.json()["detail"]
        assert not (tmp_path / "cloud" / "ca").exists()
        assert list(made.parts.jobs()) == ["gateways"]
