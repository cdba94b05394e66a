"""Rules and files of gateway identity: what the broker may allow, which files are made when, what a reload does."""

import os
import ssl
import stat
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from cryptography import x509

from cloud.gateways import broker_files
from cloud.gateways.authority import Authority, AuthorityError
from cloud.gateways.broker_files import BrokerFolders
from cloud.gateways.domain import CLOCK_OFF_MS_MAX, DAY_MS, access_list, id_problem, renewal_problem
from cloud.gateways.jobs import Reload
from cloud.gateways.registry import GatewayRegistry
from deploy.mosquitto.configuration import configuration
from deploy.mosquitto.watch import fetch, process_id

NOW_MS = 1_800_000_000_000


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_only_the_host_may_command() -> None:
    text = access_list("zhisan", [("p", "a"), ("p", "b")])
    blocks = {block.splitlines()[0]: block for block in text.split("\n\n")}
    assert set(blocks) == {"user host:zhisan", "user p/a", "user p/b"}
    for name in ("user p/a", "user p/b"):
        writes = [line for line in blocks[name].splitlines() if line.startswith("topic write")]
        assert len(writes) == 6
        assert not [line for line in writes if "CMD" in line or "STATE" in line]
        assert all("/+" not in line.replace("/+", "", 1) and "#" not in line for line in writes)


@pytest.mark.parametrize(
    ("plant", "gateway", "good"),
    [("north", "gw-1", True), ("厂一", "网关", True), ("STATE", "g", False), ("p", "", False), ("p", "a\u2028b", False),
     ("p" * 31, "g" * 32, True), ("p" * 32, "g" * 32, False), ("p\u200b", "g", False)],
)  # fmt: skip
def test_which_ids_can_be_claimed(plant: str, gateway: str, *, good: bool) -> None:
    assert (id_problem(plant, gateway) is None) == good


def test_a_renewal_has_a_window_on_both_sides() -> None:
    for off_ms, good in ((-CLOCK_OFF_MS_MAX, True), (CLOCK_OFF_MS_MAX, True), (CLOCK_OFF_MS_MAX + 1, False)):
        problem = renewal_problem(
            signed_at_ms=NOW_MS + off_ms, now_ms=NOW_MS, expires_ms=NOW_MS + 1, is_known=True, is_revoked=False
        )
        assert (problem is None) == good


def test_the_registry_refuses_the_revoked_and_where_told_the_unclaimed() -> None:
    for claimed_only in (False, True):
        registry = GatewayRegistry(claimed_only=claimed_only)
        registry.load([("p", "good", False), ("p", "bad", True)])
        assert [registry.is_refused("p", name) for name in ("good", "bad", "unknown")] == [False, True, claimed_only]


def test_the_authority_is_made_once_and_kept_from_others(tmp_path: Path) -> None:
    first, again = (Authority.open(tmp_path / "ca", NOW_MS) for _ in range(2))
    assert first.certificate == again.certificate
    assert (mode(tmp_path / "ca"), mode(tmp_path / "ca" / "ca.key")) == (0o700, 0o600)
    assert "private" not in repr(first).lower()
    years = first.certificate.not_valid_after_utc.year - first.certificate.not_valid_before_utc.year
    assert years in (9, 10)


def test_damaged_or_mixed_files_of_the_authority_are_named(tmp_path: Path) -> None:
    Authority.open(tmp_path / "a", NOW_MS)
    Authority.open(tmp_path / "b", NOW_MS)
    (tmp_path / "a" / "ca.key").write_bytes((tmp_path / "b" / "ca.key").read_bytes())
    with pytest.raises(AuthorityError, match="do not belong together"):
        Authority.open(tmp_path / "a", NOW_MS)
    (tmp_path / "a" / "ca.key").write_bytes(b"x")
    with pytest.raises(AuthorityError, match="damaged"):
        Authority.open(tmp_path / "a", NOW_MS)
    (tmp_path / "a" / "ca.key").unlink()
    with pytest.raises(AuthorityError, match=r"ca\.key.*No such file"):
        Authority.open(tmp_path / "a", NOW_MS)


def test_own_certificates_are_made_anew_only_when_they_must(tmp_path: Path) -> None:
    authority, folders = Authority.open(tmp_path / "ca", NOW_MS), BrokerFolders(tmp_path / "broker", tmp_path / "host")

    def prepared(names: list[str], now_ms: int) -> bool:
        return broker_files.prepare(folders, authority, host_id="zhisan", broker_names=names, now_ms=now_ms)

    assert prepared(["broker.example", "127.0.0.1"], NOW_MS)
    assert not prepared(["127.0.0.1", "broker.example"], NOW_MS + 100 * DAY_MS)
    assert prepared(["broker.example"], NOW_MS), "other names"
    assert prepared(["broker.example"], NOW_MS + 250 * DAY_MS), "in its last third"
    assert (mode(folders.broker), mode(folders.broker / "server.key"), mode(folders.host / "host.key")) == (
        0o750, 0o640, 0o600,
    )  # fmt: skip


def test_a_revocation_list_names_the_revoked_for_a_week(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path / "ca", NOW_MS)
    crl = x509.load_pem_x509_crl(authority.crl([("a1", NOW_MS)], now_ms=NOW_MS).encode())
    assert crl.is_signature_valid(authority.certificate.public_key())  # type: ignore[arg-type]
    assert crl.get_revoked_certificate_by_serial_number(0xA1) is not None
    assert crl.next_update_utc is not None
    assert int(crl.next_update_utc.timestamp() * 1000) == NOW_MS + 7 * DAY_MS


@pytest.mark.anyio
async def test_a_reload_that_fails_is_no_crash(tmp_path: Path) -> None:
    (tmp_path / "zero.pid").write_text("0", encoding="utf-8")
    await Reload(tmp_path / "zero.pid").tell()  # a signal to 0 would end this very test run
    await Reload(tmp_path / "none.pid").tell()
    await Reload(command=("/no/such/program",)).tell()
    await Reload(command=("false",)).tell()
    await Reload(command=("touch", str(tmp_path / "told"))).tell()
    assert (tmp_path / "told").exists()


@pytest.mark.anyio
async def test_a_reload_signals_the_process_of_the_file(tmp_path: Path) -> None:
    code = "import signal, sys\nsignal.signal(signal.SIGHUP, lambda *_: sys.exit(7))\nprint(flush=True)\nsignal.pause()"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as child:  # noqa: ASYNC220 - at once
        assert child.stdout is not None
        child.stdout.readline()
        (tmp_path / "pid").write_text(f"{child.pid}\n", encoding="utf-8")
        await Reload(tmp_path / "pid").tell()
        assert child.wait(10) == 7


def test_the_configuration_asks_for_certificates_on_every_listener(tmp_path: Path) -> None:
    text = configuration(tmp_path, tmp_path / "pid")
    listeners = text.split("\nlistener ")[1:]
    assert len(listeners) == 2
    for listener in listeners:
        assert "require_certificate true" in listener
        assert f"crlfile {tmp_path}/crl.pem" in listener
    assert "use_username_as_clientid true" in listeners[0]
    assert "allow_anonymous false" in text


def test_the_watcher_fetches_what_is_new_and_refuses_what_is_no_list(tmp_path: Path) -> None:
    answers = {"crl.pem": b"-----BEGIN X509 CRL-----\n1", "access": b"user host:zhisan\n"}
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers["authorization"])
            body = answers[self.path.rsplit("/", 1)[1]]
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Silence."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    url, context = f"http://127.0.0.1:{server.server_address[1]}", ssl.create_default_context()
    try:
        assert fetch(url, "key", tmp_path, context)
        assert not fetch(url, "key", tmp_path, context)
        answers["access"] = b"user host:zhisan\nuser p/g\n"
        assert fetch(url, "key", tmp_path, context)
        answers["access"] = b""
        with pytest.raises(ValueError, match="no such list"):
            fetch(url, "key", tmp_path, context)
        assert (tmp_path / "access").read_bytes() == b"user host:zhisan\nuser p/g\n"
        assert set(seen) == {"Bearer key"}
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    (tmp_path / "pid").write_text(str(os.getpid()), encoding="utf-8")
    assert process_id(tmp_path / "pid") == os.getpid()
    (tmp_path / "pid").write_text("-1", encoding="utf-8")
    with pytest.raises(ValueError, match="no process id"):
        process_id(tmp_path / "pid")
