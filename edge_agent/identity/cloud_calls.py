"""Asks the cloud for a certificate: once with a claim token, later with the key of the one in hand. Blocking."""

import base64
import json
import secrets
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from contract.gateway_identity import renewal_statement, subject_of
from edge_agent.identity.files import About, Identity, IdentityError

TIMEOUT_S = 20.0
ANSWER_BYTES_MAX = 64 * 1024
DETAIL_CHARACTERS_MAX = 500
NONCE_BYTES = 24


class CloudRefusedError(IdentityError):
    """The cloud has answered, and the answer is no; `status` is HTTP's."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"the cloud refuses ({status}): {detail}")
        self.status = status


@dataclass(frozen=True, slots=True)
class CloudAddress:
    """Where the cloud is; https, or http on this machine alone: a claim token must not travel in the clear."""

    url: str
    ca_file: str = ""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if not parts.hostname or parts.scheme not in ("http", "https"):
            raise IdentityError(f"{self.url!r} is not an https address")
        if parts.scheme == "http" and not _is_loopback(parts.hostname):
            raise IdentityError(f"{self.url} must begin with https: a claim must not be read on its way")


def claim(address: CloudAddress, token: str) -> Identity:
    """A new key, and the certificate that the token is good for. The key is made here and stays here.

    Raises:
        IdentityError: the cloud cannot be reached, refuses, or answers something else.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    answer = _post(address, "claim", {"token": token, "csr": _request_of(key)})
    return _identity(address, key, answer)


def renew(old: Identity, now_ms: int) -> Identity:
    """A new key with a new certificate, asked for with the old ones.

    Raises:
        IdentityError: as `claim`.
    """
    about = old.about
    address = CloudAddress(about.cloud_url, about.cloud_ca_file)
    key, nonce = ec.generate_private_key(ec.SECP256R1()), secrets.token_urlsafe(NONCE_BYTES)
    csr = _request_of(key)
    statement = renewal_statement(old.certificate_pem, csr, now_ms, nonce)
    signature = old.key.sign(statement, ec.ECDSA(hashes.SHA256()))
    body = {
        "certificate": old.certificate_pem,
        "csr": csr,
        "signed_at_ms": now_ms,
        "nonce": nonce,
        "signature": base64.b64encode(signature).decode(),
    }
    new = _identity(address, key, _post(address, "renew", body))
    if (new.about.plant, new.about.gateway) != (about.plant, about.gateway):
        raise IdentityError("the cloud answered with another gateway's certificate; the present one is kept")
    return new


def _request_of(key: ec.EllipticCurvePrivateKey) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway")])  # the cloud decides on the name
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()


def _identity(address: CloudAddress, key: ec.EllipticCurvePrivateKey, answer: Mapping[str, Any]) -> Identity:
    """What the cloud gave, once it is clear that it fits our key and itself."""
    try:
        about = About(
            cloud_url=address.url,
            cloud_ca_file=address.ca_file,
            plant=str(answer["plant_id"]),
            gateway=str(answer["gateway_id"]),
            broker_host=str(answer["broker_host"]),
            broker_port=int(answer["broker_port"]),
            host_id=str(answer["host_id"]),
        )
        certificate = x509.load_pem_x509_certificate(str(answer["certificate_pem"]).encode())
        ca = x509.load_pem_x509_certificate(str(answer["chain_pem"]).encode())
        certificate.verify_directly_issued_by(ca)
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except (KeyError, ValueError, TypeError, InvalidSignature) as error:
        raise IdentityError(f"the cloud's answer is none that this version understands: {error!r}") from error
    is_ours = certificate.public_key() == key.public_key()
    if not is_ours or [name.value for name in names] != [subject_of(about.plant, about.gateway)]:
        raise IdentityError("the cloud's certificate is not for this gateway's key and name; it is not used")
    return Identity(about, str(answer["certificate_pem"]), str(answer["chain_pem"]), key)


def _post(address: CloudAddress, what: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
    url = f"{address.url.rstrip('/')}/api/v1/gateways/{what}"
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310 - CloudAddress has looked
    try:
        context = ssl.create_default_context(cafile=address.ca_file or None)
        opener = urllib.request.build_opener(_NoRedirect(), urllib.request.HTTPSHandler(context=context))
        with opener.open(request, timeout=TIMEOUT_S) as response:
            content = response.read(ANSWER_BYTES_MAX + 1)
    except urllib.error.HTTPError as error:
        with error:
            raise CloudRefusedError(error.code, _detail(error.read(ANSWER_BYTES_MAX))) from error
    except OSError as error:
        reason = getattr(error, "reason", None) or error
        raise IdentityError(f"{url} cannot be asked: {reason}") from error
    if len(content) > ANSWER_BYTES_MAX:
        raise IdentityError(f"{url} answers more than {ANSWER_BYTES_MAX} bytes: is it the cloud?")
    try:
        answer = json.loads(content)
    except ValueError as error:
        raise IdentityError(f"{url} does not answer JSON: is it the cloud?") from error
    if not isinstance(answer, dict):
        raise IdentityError(f"{url} does not answer an object: is it the cloud?")
    return answer


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A token goes to the address that was named, and to no other."""

    def redirect_request(self, *_arguments: object, **_options: object) -> None:
        """Follow nothing: the answer 3xx becomes an error."""


def _detail(content: bytes) -> str:
    try:
        problem = json.loads(content)
        return str(problem["detail"])[:DETAIL_CHARACTERS_MAX]
    except (ValueError, KeyError, TypeError):
        return "no reason given"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
