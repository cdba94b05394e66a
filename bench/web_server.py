"""The cloud's application with presses that make a shot a second each: what `bench.web` looks at from outside.

No broker: the shots are written as the ingest writes them. The first line of output is JSON: the port, and an API key.
"""

import json
import sys
import tempfile
from pathlib import Path

import anyio
import numpy as np
import uvicorn

from cloud.app import Cloud, create_app
from cloud.core.access import Right
from cloud.core.audit import SYSTEM
from cloud.core.tenants import DEFAULT_TENANT
from cloud.fleet.domain import SeenShot
from cloud.settings import CloudSettings
from cloud.telemetry.store import GatewayKey, IncomingShot
from contract.shot import ScoredShot, Scores, Shot
from deploy.local.processes import free_port
from kit import logging

PLANT, GATEWAY = "plant", "gw"
EVERY_S = 1.0


async def feed(cloud: Cloud, presses: int, server: uvicorn.Server) -> None:
    """Each press makes a shot a second, until the server is told to stop."""
    names, number = [f"press-{at:03}" for at in range(presses)], 0
    while not server.should_exit:
        now_ms, batch = cloud.clock.utc_ms(), []
        for name in names:
            number += 1
            ripple = number % 17 / 10
            values = {"FailureProbability/check_ring_wear": ripple / 10, "Novelty/T2": 0.5, "Novelty/SPE": 0.4}
            shot = Shot(name, now_ms, {"CycleTime": 20 + ripple}, job_name="job", mould_id="mould")
            scored = ScoredShot(shot, np.zeros(60, np.float32), "hash", Scores("bundle", values))
            batch.append(IncomingShot(GatewayKey(PLANT, GATEWAY), "epoch", number, now_ms, False, scored))
        await anyio.to_thread.run_sync(cloud.store.write, batch)
        async with cloud.database.transaction() as session:
            await cloud.fleet.shots_seen(session, [SeenShot(PLANT, GATEWAY, name, now_ms, now_ms) for name in names])
        cloud.live.shots.publish()
        await anyio.sleep(EVERY_S)


async def serve(presses: int) -> None:
    """Serve on loopback until terminated."""
    with tempfile.TemporaryDirectory() as name:
        given = {"storage": {"dir": str(Path(name) / "cloud")}, "broker": {"port": free_port()}}
        app = create_app(CloudSettings.model_validate(given), environ={})
        cloud: Cloud = app.state.cloud
        config = uvicorn.Config(
            app, host="127.0.0.1", port=0, log_config=None, access_log=False, ws="none", timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve)
            while not server.started:  # noqa: ASYNC110 - the server tells nobody
                await anyio.sleep(0.05)
            async with cloud.database.transaction() as session:
                _, key = await cloud.identity.keys.make(
                    session,
                    DEFAULT_TENANT,
                    SYSTEM,
                    name="bench",
                    rights={Right.READ},
                    days=1,
                    now_ms=cloud.clock.utc_ms(),
                )
            print(json.dumps({"port": server.servers[0].sockets[0].getsockname()[1], "key": key}), flush=True)
            await feed(cloud, presses, server)


if __name__ == "__main__":
    logging.configure("json", "ERROR")
    anyio.run(serve, int(sys.argv[1]))
