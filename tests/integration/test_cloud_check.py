"""`zhisan cloud check` about broker and telemetry: each way in which the files are missing or wrong has its words."""

from pathlib import Path
from typing import Any

import duckdb
import pytest

from cloud import check
from cloud.gateways.domain import GatewayRules
from cloud.settings import CloudSettings
from cloud.telemetry.duckdb_store import DuckDBStore
from deploy.local.processes import free_port
from tests.integration.gateway_identity_world import key_pem, new_key, world

pytestmark = pytest.mark.anyio


def settings(folder: Path, own: Path, **gateways: Any) -> CloudSettings:
    files = {"ca_file": own / "ca.pem", "certificate_file": own / "host.pem", "private_key_file": own / "host.key"}
    return CloudSettings.model_validate(
        {
            "storage": {"dir": str(folder / "cloud")},
            "broker": {"port": free_port(), **{name: str(path) for name, path in files.items()}},
            "gateways": gateways,
            "web": {"port": free_port()},
        }
    )


async def about_broker(given: CloudSettings) -> check.Finding:
    return next(found for found in [found async for found in check.findings(given, {})] if found.subject == "broker")


async def test_before_the_first_start_the_certificate_is_not_there_yet(tmp_path: Path) -> None:
    found = await about_broker(settings(tmp_path, tmp_path / "cloud" / "host", broker_host="broker.example"))
    assert found.level == "warning"
    assert "makes its certificate at its first start" in found.text
    assert not (tmp_path / "cloud").exists(), "a check makes nothing"


async def test_files_that_nobody_will_make_are_named(tmp_path: Path) -> None:
    for given in (
        settings(tmp_path, tmp_path / "cloud" / "host"),
        settings(tmp_path, tmp_path, broker_host="b.example"),
    ):
        found = await about_broker(given)
        assert (found.level, found.text) == ("error", f"{given.broker.ca_file}: No such file or directory")


async def test_files_that_do_not_fit_are_named_and_good_ones_lead_to_the_broker(tmp_path: Path) -> None:
    async with world(tmp_path, GatewayRules(broker_host="broker.example")):
        own = tmp_path / "cloud" / "host"
        given = settings(tmp_path, own, broker_host="broker.example")
        good = await about_broker(given)
        assert "127.0.0.1" in good.text, "now it is tried"
        key = (own / "host.key").read_text(encoding="utf-8")
        (own / "host.key").write_text(key_pem(new_key()), encoding="utf-8")
        assert "are not a pair" in (await about_broker(given)).text
        (own / "host.key").write_text(key, encoding="utf-8")
        (own / "ca.pem").write_text("garbage", encoding="utf-8")
        assert "is not an authority's certificate" in (await about_broker(given)).text


async def test_the_relational_database_is_tried_wherever_it_is(tmp_path: Path, postgresql: str) -> None:
    async def about(url: str) -> check.Finding:
        given = settings(tmp_path, tmp_path)
        given = given.model_copy(update={"storage": given.storage.model_copy(update={"postgresql": url})})
        return next(
            found for found in [found async for found in check.findings(given, {})] if found.subject == "database"
        )

    found = await about(postgresql)
    assert (found.level, found.text.partition(" ")[2]) == ("ok", "is empty" if postgresql else "will be made")
    nobody = await about(f"postgresql://zhisan@127.0.0.1:{free_port()}/zhisan")
    assert nobody.level == "error"
    assert "cannot be read" in nobody.text


async def about_telemetry(folder: Path) -> check.Finding:
    given = settings(folder, folder)
    return next(found for found in [found async for found in check.findings(given, {})] if found.subject == "telemetry")


async def test_the_telemetry_file_is_opened_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "cloud" / "telemetry.duckdb"
    assert (await about_telemetry(tmp_path)).text == f"{path} will be made"
    path.parent.mkdir()
    DuckDBStore(path).close()
    before = path.read_bytes()
    found = await about_telemetry(tmp_path)
    assert (found.level, found.text) == ("ok", f"{path} holds 0 shots")
    assert path.read_bytes() == before
    with duckdb.connect(str(path)) as connection:
        connection.execute("ALTER TABLE gaps DROP gap_id")
    found = await about_telemetry(tmp_path)
    assert found.level == "error"
    assert "of another version: its table gaps has no column gap_id" in found.text
    path.write_bytes(b"garbage" * 1_000)
    found = await about_telemetry(tmp_path)
    assert found.level == "error"
    assert f"{path} cannot be opened" in found.text
