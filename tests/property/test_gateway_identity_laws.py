"""Laws of claims and renewals: a token is spent once, garbage is a 4xx, and the subject is ours whatever is asked."""

import base64
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import anyio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.core.audit import SYSTEM
from cloud.core.tenants import DEFAULT_TENANT
from cloud.gateways.authority import Authority
from cloud.gateways.domain import (
    DAY_MS,
    ClaimRefusedError,
    GatewayRules,
    RequestPemError,
    access_list,
    id_problem,
)
from cloud.gateways.requests import certificate_of, public_key_of_request
from edge_agent.identity.renewal import RETRY_S_MAX, due_ms, pause_s
from tests.integration.gateway_identity_world import World, common_name, csr_of, new_key, world

RULES = GatewayRules(broker_host="broker.example")
IDS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=30)
GOOD_CSR = csr_of(new_key())


@asynccontextmanager
async def fresh_world() -> AsyncIterator[World]:
    with tempfile.TemporaryDirectory() as folder:
        async with world(Path(folder), RULES) as made:
            yield made


@given(rivals=st.integers(2, 8))
@settings(max_examples=8, deadline=None)
def test_of_claims_made_at_once_with_one_token_exactly_one_is_granted(rivals: int) -> None:
    async def scenario() -> None:
        async with fresh_world() as made:
            token = await made.token()
            statuses: list[int] = []

            async def try_it() -> None:
                body = {"token": token, "csr": csr_of(new_key())}
                statuses.append((await made.client.post("/api/v1/gateways/claim", json=body)).status_code)

            async with anyio.create_task_group() as tasks:
                for _ in range(rivals):
                    tasks.start_soon(try_it)
            assert sorted(statuses) == [200] + [403] * (rivals - 1)
            async with made.database.reading() as session:
                rows = (await session.execute(_count("gateway_certificates"))).scalar_one()
            assert rows == 1

    anyio.run(scenario)


@given(wait_ms=st.integers(0, 2 * RULES.claim_ms), spoil=st.sampled_from(["", "x", "cut", "case"]))
@settings(max_examples=12, deadline=None)
def test_a_token_opens_only_as_it_is_and_only_in_its_time(wait_ms: int, spoil: str) -> None:
    async def scenario() -> None:
        async with fresh_world() as made:
            identities, now_ms = made.parts.identities, 1_800_000_000_000
            async with made.database.transaction() as session:
                new = await identities.make_claim(session, DEFAULT_TENANT, "p", "g", SYSTEM, now_ms=now_ms)
            tried = {"": new.token, "x": new.token + "x", "cut": new.token[:-1], "case": new.token.swapcase()}[spoil]
            try:
                async with made.database.transaction() as session:
                    await identities.claim(session, tried, GOOD_CSR, SYSTEM, now_ms=now_ms + wait_ms)
                is_granted = True
            except ClaimRefusedError:
                is_granted = False
            assert is_granted == (spoil == "" and wait_ms < RULES.claim_ms)

    anyio.run(scenario)


@given(st.one_of(st.text(max_size=300), st.binary(max_size=300).map(lambda b: b.decode("latin-1"))))
@settings(max_examples=200)
def test_what_is_no_request_or_certificate_is_one_named_error(text: str) -> None:
    for read in (public_key_of_request, certificate_of):
        with pytest.raises(RequestPemError):
            read(text)


@given(position=st.integers(0, 400), flip=st.integers(1, 255))
@settings(max_examples=300)
def test_a_request_with_a_byte_changed_is_refused_or_is_the_same_key(position: int, flip: int) -> None:
    lines = GOOD_CSR.splitlines()
    der = bytearray(base64.b64decode("".join(lines[1:-1])))
    der[position % len(der)] ^= flip
    body = base64.b64encode(bytes(der)).decode()
    try:
        key = public_key_of_request(f"{lines[0]}\n{body}\n{lines[-1]}\n")
    except RequestPemError:
        return
    assert key == public_key_of_request(GOOD_CSR), "changed, and still signed by its own key"


@pytest.mark.parametrize(
    "key", [ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 2048)], ids=["P-384", "RSA"]
)
def test_only_p256_keys_are_taken(key: Any) -> None:
    with pytest.raises(RequestPemError, match="P-256"):
        public_key_of_request(csr_of(key))


# cryptography warns of a serial number that is not positive, takes the certificate, and so does the law
@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@given(position=st.integers(0, 1_000), flip=st.integers(1, 255))
@settings(max_examples=300)
def test_a_certificate_with_a_byte_changed_is_refused_or_is_not_ours(position: int, flip: int) -> None:
    authority = Authority.open(_authority_folder(), 1_800_000_000_000)
    lines = _certificate().splitlines()
    der = bytearray(base64.b64decode("".join(lines[1:-1])))
    der[position % len(der)] ^= flip
    body = base64.b64encode(bytes(der)).decode()
    try:
        certificate = certificate_of(f"{lines[0]}\n{body}\n{lines[-1]}\n")
    except RequestPemError:
        return
    assert not authority.has_signed(certificate)


@cache
def _certificate() -> str:
    authority = Authority.open(_authority_folder(), 1_800_000_000_000)
    key = new_key().public_key()
    return authority.issue_client(key, "p/g", now_ms=1_800_000_000_000, life_ms=DAY_MS).certificate_pem


def test_an_ed25519_request_is_refused() -> None:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    request = (
        x509.CertificateSigningRequestBuilder().subject_name(name).sign(ed25519.Ed25519PrivateKey.generate(), None)
    )
    with pytest.raises(RequestPemError, match="P-256"):
        public_key_of_request(request.public_bytes(serialization.Encoding.PEM).decode())


@given(asked=st.sampled_from(["host:zhisan", "south/gw-9", "north/gw-2", "*", "CN=x,O=y"]))
@settings(max_examples=5, deadline=None)
def test_the_subject_is_ours_whatever_the_request_says(asked: str) -> None:
    key = new_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, asked)])
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("broker.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )

    async def scenario() -> None:
        async with fresh_world() as made:
            token = await made.token("north", "gw-1")
            csr = request.public_bytes(serialization.Encoding.PEM).decode()
            answer = await made.client.post("/api/v1/gateways/claim", json={"token": token, "csr": csr})
            certificate = x509.load_pem_x509_certificate(answer.json()["certificate_pem"].encode())
            assert common_name(answer.json()["certificate_pem"]) == "north/gw-1"
            assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
            with pytest.raises(x509.ExtensionNotFound):
                certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)

    anyio.run(scenario)


@given(plant=IDS, gateway=IDS)
@settings(max_examples=300)
def test_an_id_that_can_be_claimed_fits_a_certificate_and_one_line_of_the_access_list(plant: str, gateway: str) -> None:
    if id_problem(plant, gateway) is not None:
        return
    text = access_list("zhisan", [(plant, gateway)])
    lines = text.splitlines()
    assert len(lines) == text.count("\n")
    assert lines.count(f"user {plant}/{gateway}") == 1
    assert len([line for line in lines if line.startswith("user ")]) == 2
    assert all(
        line == "" or line.startswith(("user ", "topic read spBv1.0/", "topic write spBv1.0/")) for line in lines
    )
    authority = Authority.open(_authority_folder(), 1_800_000_000_000)
    issued = authority.issue_client(
        new_key().public_key(), f"{plant}/{gateway}", now_ms=1_800_000_000_000, life_ms=DAY_MS
    )
    assert common_name(issued.certificate_pem) == f"{plant}/{gateway}"


@given(begins=st.integers(0, 2**41), life=st.integers(60_000, 400 * DAY_MS))
def test_a_renewal_is_due_in_the_last_third_and_before_the_end(begins: int, life: int) -> None:
    due = due_ms((begins, begins + life))
    assert abs(begins + life - due - life / 3) <= 1


@given(tries=st.integers(1, 10_000), chance=st.floats(0, 1))
def test_pauses_grow_to_a_bound(tries: int, chance: float) -> None:
    assert 30 <= pause_s(tries, chance) <= RETRY_S_MAX
    assert pause_s(tries + 1, chance) >= pause_s(tries, chance)


def _authority_folder() -> Path:
    if not _FOLDERS:
        _FOLDERS.append(tempfile.TemporaryDirectory())
    return Path(_FOLDERS[0].name) / "ca"


_FOLDERS: list[tempfile.TemporaryDirectory[str]] = []


def _count(table: str) -> Any:
    from sqlalchemy import text

    return text(f"SELECT count(*) FROM {table}")
