"""Simulated presses behind simulated gateways: real journals, real records, a real MQTT connection each.

A shot's time is when its press ended the cycle. Some presses are at their limit in every second shot: their alarm is
raised and cleared in turn.
"""

from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.to_thread
import numpy as np

from contract import commit, shot_wire
from contract.shot import ScoredShot, Scores, Shot
from contract.sparkplug.codec import Metric, encode_metrics
from contract.sparkplug.datatypes import DataType
from contract.sparkplug.edge_node import EdgeNodeSession
from contract.vocabulary import PARAMETERS
from edge_agent.aliases import AliasTable
from edge_agent.journal.journal import NewRecord
from edge_agent.journal.segment_journal import SegmentJournal
from kit.clock import SystemClock
from kit.ids import uuid7
from kit.mqtt import BrokerSettings, Connected, PahoLink, Will

PLANT, MODE = "plant", "check_ring_wear"
PRESSES_PER_GATEWAY = 40
JOURNAL_BYTES_MAX = 64 * 2**20
PARAMETERS_A_SHOT, FEATURES = 20, 60
CONNECT_S_MAX = 20.0


@dataclass(slots=True)
class Gateway:
    """One gateway with its presses; `sent` counts the shots that it handed to the network."""

    name: str
    presses: tuple[str, ...]
    alarming: frozenset[str]
    broker: BrokerSettings
    folder: Path
    phase: float = 0.0
    """How far this gateway's presses are behind another's, as a share of the time from one of them to the next."""
    clock: SystemClock = field(default_factory=SystemClock)
    disk: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(1))
    sent: int = 0

    async def run(self, cycle_s: float, warmed_up: anyio.Event) -> None:
        """Connect, introduce the presses, and let each make a shot every `cycle_s`, until cancelled."""
        journal = SegmentJournal(
            self.folder / self.name,
            size_bytes_max=JOURNAL_BYTES_MAX,
            new_epoch=uuid7(self.clock.utc_ms()),
            make_gap=lambda _record, _reason: b"",
            mark_curves=lambda _record, _reason: b"",
        )
        session = EdgeNodeSession(PLANT, self.name)
        death = session.connect(0)
        will = Will(death.topic, death.payload, death.qos, death.retain)
        async with PahoLink(self.broker, f"bench-{self.name}", lambda: will) as link:
            with anyio.fail_after(CONNECT_S_MAX):
                while not any(isinstance(event, Connected) for event in await link.events()):
                    pass
            session.connected()
            aliases = AliasTable(())
            for press in self.presses:
                aliases.add_press(press)
                self._record(aliases, press, 0)
            births = session.birth(
                [Metric(commit.EPOCH, str(journal.epoch), DataType.UUID)],
                {press: aliases.birth_metrics(press, self.clock.utc_ms()) for press in self.presses},
                self.clock.utc_ms(),
            )
            for birth in births:
                link.publish(birth.topic, birth.payload, qos=birth.qos, retain=birth.retain)
            await warmed_up.wait()
            async with anyio.create_task_group() as tasks:
                for at, press in enumerate(self.presses):
                    delay_s = cycle_s * (at + self.phase) / len(self.presses)
                    tasks.start_soon(self._press, press, cycle_s, delay_s, journal, session, aliases, link)

    async def _press(
        self,
        press: str,
        cycle_s: float,
        delay_s: float,
        journal: SegmentJournal,
        session: EdgeNodeSession,
        aliases: AliasTable,
        link: PahoLink,
    ) -> None:
        await anyio.sleep(delay_s)
        due_s, number = self.clock.monotonic_s(), 0
        while True:
            number += 1
            ended_ms = self.clock.utc_ms()
            record = self._record(aliases, press, number, ended_ms)
            record_id = await anyio.to_thread.run_sync(journal.append, [record], limiter=self.disk)
            head = shot_wire.head_metrics(str(journal.epoch), record_id, ended_ms, aliases.of(press))
            message = session.device_data(press, encode_metrics(head) + record.body, self.clock.utc_ms())
            link.publish(message.topic, message.payload)
            self.sent += 1
            due_s += cycle_s
            await anyio.sleep(max(0.0, due_s - self.clock.monotonic_s()))

    def _record(self, aliases: AliasTable, press: str, number: int, ended_ms: int = 0) -> NewRecord:
        parameters = dict.fromkeys(list(PARAMETERS)[:PARAMETERS_A_SHOT], 100.0)
        is_over = press in self.alarming and number % 2 == 1
        scores = Scores("bundle", {f"FailureProbability/{MODE}": 0.95 if is_over else 0.05, "Novelty/T2": 0.5})
        shot = Shot(press, ended_ms, parameters, cycle_counter=number, job_name="job", mould_id="mould")
        scored = ScoredShot(shot, np.zeros(FEATURES, np.float32), "hash", scores)
        alias_of = aliases.of(press)
        body = encode_metrics(shot_wire.body_metrics(scored, alias_of))
        return NewRecord(press, ended_ms, body, encode_metrics(shot_wire.curve_metrics(shot, alias_of)))
