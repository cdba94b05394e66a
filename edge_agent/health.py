"""How the gateway is: counters that its parts raise, and the metrics that the cloud sees."""

from dataclasses import dataclass, field

import psutil
import structlog

from edge_agent.journal.journal import JournalCounts

PREFIX = "Health/"
log = structlog.get_logger()


@dataclass(slots=True)
class Health:
    """Counters since the program started; `presses` tells of each whether it answers."""

    shots_taken: int = 0
    shots_scored: int = 0
    shots_refused: int = 0
    records_sent: int = 0
    records_sent_again: int = 0
    records_committed: int = 0
    missed_cycles: int = 0
    journal_errors: int = 0
    commits_refused: int = 0
    refusals: int = 0
    epochs_renewed: int = 0
    baseline_failures: int = 0
    presses: dict[str, bool] = field(default_factory=dict)

    def press_connected(self, press_id: str) -> None:
        """The press answers."""
        self.presses[press_id] = True

    def press_lost(self, press_id: str, reason: str) -> None:
        """The press does not answer any more."""
        self.presses[press_id] = False
        log.debug("press_state", press_id=press_id, reason=reason)

    def cycles_missed(self, press_id: str, count: int) -> None:
        """The press has made cycles that no one recorded."""
        self.missed_cycles += count
        log.warning("cycles_missed", press_id=press_id, count=count)


@dataclass(slots=True)
class HealthReporter:
    """Turns counters into metrics; rates are over the time since the last report."""

    health: Health
    last_s: float
    last_scored: int = 0
    last_committed: int = 0
    last_cpu_s: float = field(default_factory=lambda: _cpu_s())

    def metrics(self, now_s: float, now_ms: int, counts: JournalCounts, oldest_ms: int | None) -> dict[str, float]:
        """The health metrics by name: `Health/JournalRecords`, `Health/LagSeconds` and so on."""
        elapsed_s = max(now_s - self.last_s, 1e-3)
        scored, cpu_s = self.health.shots_scored - self.last_scored, _cpu_s()
        committed = self.health.records_committed - self.last_committed
        cpu_share = max(0.0, cpu_s - self.last_cpu_s) / elapsed_s
        self.last_cpu_s = cpu_s
        self.last_s, self.last_scored = now_s, self.health.shots_scored
        self.last_committed = self.health.records_committed
        values = {
            "JournalRecords": counts.records,
            "JournalBytes": counts.size_bytes,
            "LagSeconds": 0.0 if oldest_ms is None else max(0.0, (now_ms - oldest_ms) / 1000),
            "ScoresPerSecond": scored / elapsed_s,
            "CommitsPerSecond": committed / elapsed_s,
            "CpuPercent": 100.0 * cpu_share,
            "RssMiB": psutil.Process().memory_info().rss / 2**20,
            "ShotsTaken": self.health.shots_taken,
            "ShotsRefused": self.health.shots_refused,
            "RecordsSent": self.health.records_sent,
            "RecordsSentAgain": self.health.records_sent_again,
            "RecordsCommitted": self.health.records_committed,
            "CyclesMissed": self.health.missed_cycles,
            "CurvesDropped": counts.curves_dropped,
            "RecordsThinned": counts.records_thinned,
            "RecordsDamaged": counts.records_damaged,
            "TailsCut": counts.tails_cut,
            "JournalErrors": self.health.journal_errors,
            "CommitsRefused": self.health.commits_refused,
            "Refusals": self.health.refusals,
            "EpochsRenewed": self.health.epochs_renewed,
            "BaselineFailures": self.health.baseline_failures,
            "PressesConnected": sum(self.health.presses.values()),
        }
        return {PREFIX + name: float(value) for name, value in values.items()}


def _cpu_s() -> float:
    """Processor time that the program has used, in user and system mode."""
    times = psutil.Process().cpu_times()
    return float(times.user + times.system)
