"""What was owed before endpoints had ids stays owed after the migration, on both databases."""

from collections.abc import AsyncIterator
from uuid import UUID

import httpx
import pytest
from alembic import command
from sqlalchemy import URL, Connection, text

from cloud.core.database import Database
from cloud.migrations.upgrade import configuration, upgrade
from kit.clock import ManualClock
from tests.integration.webhook_world import Outbox, ScriptedReceivers, configured

pytestmark = pytest.mark.anyio
BEFORE = "0010"
OLD_ENDPOINT = "INSERT INTO webhook_endpoints VALUES ('ops', 'default', 'https://old.example/x?key=1', true, false, 5)"
OLD_DELIVERY = """
INSERT INTO deliveries (delivery_id, tenant_id, endpoint, event_id, kind, body, state, attempts, created_ms,
 next_attempt_ms, last_answer, last_error)
VALUES (:delivery_id, 'default', 'ops', :event_id, 'alarm.raised', :body, :state, 0, :now_ms, :now_ms, '', '')
"""
BODY = '{"type":"alarm.raised","timestamp":"2026-01-01T00:00:00.000Z","data":{"alarm_id":"a"}}'


@pytest.fixture
async def database(database_url: URL) -> AsyncIterator[Database]:
    database = Database(database_url)
    await upgrade(database)
    yield database
    await database.close()


async def test_what_was_owed_stays_owed(database: Database) -> None:
    clock = ManualClock()

    def fill(connection: Connection) -> None:
        command.downgrade(configuration(connection), BEFORE)
        connection.execute(text(OLD_ENDPOINT))
        for number, state in ((1, "pending"), (2, "delivered")):
            delivery_id = UUID(int=number).hex
            row = {
                "delivery_id": delivery_id,
                "event_id": 100 + number,
                "body": BODY,
                "state": state,
                "now_ms": clock.utc_ms(),
            }
            connection.execute(text(OLD_DELIVERY), row)

    async with database.schema_change() as connection:
        await connection.run_sync(fill)
    await upgrade(database)
    world = ScriptedReceivers(clock, {"old.example": lambda _request: httpx.Response(204)})
    outbox = Outbox(database, configured("https://old.example/x?key=1"), transport=world.transport(), clock=clock)
    await outbox.sync()
    await outbox.alarm(3)
    await outbox.send_all()
    assert f"msg_{UUID(int=1)}" in {request.headers["webhook-id"] for _, _, request in world.calls}
    assert {body["data"]["alarm_id"] for body in world.bodies("old.example")} == {"a", "alarm-3"}
    assert {delivery.state for delivery in await outbox.deliveries()} == {"delivered"}
