"""A bundle comes whole or not at all, goes on where it was cut off, and only from the cloud that was named."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from contract.model_orders import TOKEN_HEADER, BundleFile
from deploy.local.processes import free_port
from edge_agent.identity.cloud_calls import CloudAddress
from edge_agent.identity.files import IdentityError
from edge_agent.models import download as download_module
from edge_agent.models.download import DownloadError, download
from edge_agent.models.folder import BundleFolder, State

CONTENT = bytes(range(256)) * 2_000
NAME = "0123456789ab"


@dataclass
class Cloud:
    """What the server does, and what it was asked."""

    url: str
    content: bytes = CONTENT
    cut_after: int | None = None
    status: int | None = None
    ignores_ranges: bool = False
    asked: list[tuple[str, str | None]] = field(default_factory=list)


def certificate(folder: Path) -> Path:
    """A certificate of 127.0.0.1 that vouches for itself, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cloud")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / "cloud.pem"
    path.write_bytes(key.private_bytes(pem, *plain) + made.public_bytes(pem))
    return path


@contextmanager
def cloud(pem: Path | None = None) -> Iterator[Cloud]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            state.asked.append((self.headers.get(TOKEN_HEADER, ""), asked))
            if state.status is not None:
                self.send_response(state.status)
                self.send_header("Location", f"{state.url}/elsewhere")
                self.end_headers()
                return
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and not state.ignores_ranges else 0
            body = state.content[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body if state.cut_after is None else body[: state.cut_after])

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    state = Cloud(f"{'https' if pem else 'http'}://127.0.0.1:{server.server_port}")
    if pem is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def wanted(content: bytes = CONTENT) -> BundleFile:
    digest = sha256(content).hexdigest()
    return BundleFile(bundle_id=NAME, path="/file", size_bytes=len(content), sha256=digest, token="t")


def test_a_bundle_comes_whole(tmp_path: Path) -> None:
    folder = BundleFolder(tmp_path)
    with cloud() as server:
        assert download(CloudAddress(server.url), wanted(), folder) == len(CONTENT)
    assert folder.has(wanted())
    assert server.asked == [("t", None)]
    assert not folder.part_of(NAME).exists()


def test_by_tls_it_comes_from_who_can_prove_to_be_the_cloud(tmp_path: Path) -> None:
    pem, folder = certificate(tmp_path), BundleFolder(tmp_path)
    with cloud(pem) as server:
        with pytest.raises(DownloadError, match="certificate"):
            download(CloudAddress(server.url), wanted(), folder)
        assert server.asked == [], "the token went to nobody"
        download(CloudAddress(server.url, str(pem)), wanted(), folder)
    assert folder.has(wanted())


def test_a_cut_line_goes_on_where_it_was(tmp_path: Path) -> None:
    folder = BundleFolder(tmp_path)
    with cloud() as server:
        server.cut_after = 200_000
        for _ in range(2):
            with pytest.raises(DownloadError) as caught:
                download(CloudAddress(server.url), wanted(), folder)
            assert not caught.value.is_final
            assert not folder.has(wanted())
        server.cut_after = None
        assert download(CloudAddress(server.url), wanted(), folder) == len(CONTENT) - 400_000
    assert [asked for _, asked in server.asked] == [None, "bytes=200000-", "bytes=400000-"]
    assert folder.file_of(NAME).read_bytes() == CONTENT


def test_a_server_without_ranges_is_served_from_the_beginning(tmp_path: Path) -> None:
    folder = BundleFolder(tmp_path)
    with cloud() as server:
        server.cut_after = 1_000
        with pytest.raises(DownloadError):
            download(CloudAddress(server.url), wanted(), folder)
        server.cut_after, server.ignores_ranges = None, True
        assert download(CloudAddress(server.url), wanted(), folder) == len(CONTENT)
    assert folder.has(wanted())


def test_other_content_is_thrown_away(tmp_path: Path) -> None:
    folder = BundleFolder(tmp_path)
    with cloud() as server:
        server.content = CONTENT[:-1] + b"x"
        with pytest.raises(DownloadError, match="other content"):
            download(CloudAddress(server.url), wanted(), folder)
        assert not folder.part_of(NAME).exists()
        server.content = CONTENT
        download(CloudAddress(server.url), wanted(), folder)
    assert folder.has(wanted())


def test_more_than_was_announced_is_not_taken(tmp_path: Path) -> None:
    with cloud() as server:
        server.content = CONTENT * 3
        with pytest.raises(DownloadError, match="more than the order says"):
            download(CloudAddress(server.url), wanted(), BundleFolder(tmp_path))


@pytest.mark.parametrize(("status", "is_final"), [(401, True), (403, True), (404, True), (500, False), (302, False)])
def test_a_refusal_ends_the_tries_and_a_fault_does_not(tmp_path: Path, status: int, *, is_final: bool) -> None:
    with cloud() as server:
        server.status = status
        with pytest.raises(DownloadError, match=str(status)) as caught:
            download(CloudAddress(server.url), wanted(), BundleFolder(tmp_path))
    assert caught.value.is_final is is_final
    assert len(server.asked) == 1, "a token follows nobody elsewhere"


def test_nobody_answering_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download_module, "TIMEOUT_S", 1.0)
    with pytest.raises(DownloadError) as caught:
        download(CloudAddress(f"http://127.0.0.1:{free_port()}"), wanted(), BundleFolder(tmp_path))
    assert not caught.value.is_final


def test_a_token_never_travels_in_the_clear() -> None:
    with pytest.raises(IdentityError, match="https"):
        CloudAddress("http://cloud.example")


def test_a_state_that_cannot_be_read_is_an_empty_one(tmp_path: Path) -> None:
    folder = BundleFolder(tmp_path)
    assert folder.state() == State()
    folder.path.mkdir()
    (folder.path / "state.json").write_bytes(b"\xff{")
    assert folder.state() == State()
