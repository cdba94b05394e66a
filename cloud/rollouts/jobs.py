"""The task that keeps gateways to their orders and ends a trial whose figures leave their bounds."""

from typing import Final

import structlog
from anyio import to_thread
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core.audit import SYSTEM
from cloud.core.database import Database
from cloud.core.live import wait_for_change
from cloud.core.tenants import TenantId
from cloud.rollouts import orders, repository
from cloud.rollouts.domain import WHY_CHARACTERS_MAX, Plan, Trial, may_go_on, trial_of
from cloud.rollouts.files import BundleFiles
from cloud.rollouts.orders import Send, Standing
from cloud.rollouts.service import Rollouts
from cloud.rollouts.tables import GuardPointRow
from contract.model_orders import Report
from kit.clock import Clock
from models.registry.guards import summed
from models.runtime.keys import KeyFileError

EVERY_S: Final = 2.0
AGAIN_MS: Final = 10_000
"""An order that is not followed yet is sent again after this; NCMD is QoS 0."""
POINT_EVERY_MS: Final = 10_000
log = structlog.get_logger()


class RolloutKeeper:
    """One round looks at every tenant: judge the trial, make the orders, send what is not followed."""

    def __init__(self, database: Database, rollouts: Rollouts, files: BundleFiles, send: Send, clock: Clock) -> None:
        self._database = database
        self._rollouts = rollouts
        self._files = files
        self._send = send
        self._clock = clock
        self._sent_ms: dict[tuple[str, str, int], int] = {}

    async def run(self) -> None:
        """Serve until cancelled."""
        while True:
            version = self._rollouts.changed.version
            await self.keep()
            await wait_for_change(self._rollouts.changed, version, at_most_s=EVERY_S)

    async def keep(self) -> None:
        """One round."""
        async with self._database.reading() as session:
            tenants = await repository.tenants(session)
        if not tenants:
            return
        revoked = await to_thread.run_sync(self._revoked)
        if revoked is None:
            return  # orders stay as they are: none is made that takes a revocation back
        for tenant_id in tenants:
            async with self._database.transaction() as session:
                standings = await self._judge(session, tenant_id, revoked)
            await self._send_all(standings)

    async def _judge(self, session: AsyncSession, tenant_id: TenantId, revoked: tuple[str, ...]) -> list[Standing]:
        now_ms = self._clock.utc_ms()
        plan, standings = await orders.bring_up_to_date(session, tenant_id, revoked, now_ms=now_ms)
        if plan is None:
            return standings
        trial = trial_of(plan, [(one.plant_id, one.gateway_id, _told(one)) for one in standings])
        await self._keep_point(session, plan, trial, now_ms)
        if trial.wrong:
            why = "; ".join(trial.wrong)[:WHY_CHARACTERS_MAX]
            log.error("rollout_rolled_back", bundle_id=plan.bundle_id, stage=plan.stage, reasons=trial.wrong[:5])
            await self._rollouts.stop(
                session, tenant_id, plan.rollout_id, SYSTEM, outcome="rolled_back", why=why, now_ms=now_ms
            )
        elif may_go_on(plan, trial) and all(one.is_followed for one in standings if one.is_online):
            shots = sum(figures.shots for figures in trial.new.values())
            why = f"{shots} shots within bounds"
            await self._rollouts.advance(session, tenant_id, plan.rollout_id, SYSTEM, why=why, now_ms=now_ms)
        else:
            return standings
        await session.flush()
        return (await orders.bring_up_to_date(session, tenant_id, revoked, now_ms=now_ms))[1]

    async def _keep_point(self, session: AsyncSession, plan: Plan, trial: Trial, now_ms: int) -> None:
        """The figures for the plot: not more than one point in POINT_EVERY_MS, but always the last one of a trial."""
        if not trial.new:
            return
        if not trial.wrong and now_ms - await repository.last_point_ms(session, plan.rollout_id) < POINT_EVERY_MS:
            return
        await repository.thin_points(session, plan.rollout_id)
        session.add(
            GuardPointRow(
                rollout_id=plan.rollout_id,
                at_ms=now_ms,
                stage=plan.stage,
                new=summed(list(trial.new.values())).model_dump(),
                beside=summed(list(trial.beside.values())).model_dump(),
            )
        )

    async def _send_all(self, standings: list[Standing]) -> None:
        now_ms = self._clock.utc_ms()
        due = [one for one in standings if one.is_online and not one.is_followed and self._is_due(one, now_ms)]
        if not due:
            return
        secret = await to_thread.run_sync(self._files.secret)
        for one in due:
            self._sent_ms = {
                key: at_ms for key, at_ms in self._sent_ms.items() if key[:2] != (one.plant_id, one.gateway_id)
            }
            if self._send(one.plant_id, one.gateway_id, [orders.message_of(one, secret, now_ms)]):
                self._sent_ms[one.plant_id, one.gateway_id, one.order.revision] = now_ms
                log.info("model_order_sent", plant=one.plant_id, gateway=one.gateway_id, revision=one.order.revision)

    def _is_due(self, one: Standing, now_ms: int) -> bool:
        sent_ms = self._sent_ms.get((one.plant_id, one.gateway_id, one.order.revision))
        return sent_ms is None or now_ms - sent_ms >= AGAIN_MS

    def _revoked(self) -> tuple[str, ...] | None:
        try:
            return self._files.revoked_keys()
        except KeyFileError as error:
            log.error("trusted_keys_unreadable", error=str(error))
            return None


def _told(standing: Standing) -> Report:
    """What a gateway says of the order in force: refusals as soon as it tries, figures once it follows."""
    report = standing.report
    return report.model_copy(
        update={
            **({"bundles": {}} if report.tried_revision != standing.order.revision else {}),
            **({"presses": {}} if not standing.is_followed else {}),
        }
    )
