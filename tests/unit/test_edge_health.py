"""The gateway's own figures: processor time is a share of the time since the last report."""

import os

import pytest

from edge_agent.health import Health, HealthReporter
from edge_agent.journal.journal import JournalCounts


def test_processor_time_is_of_the_time_since_the_last_report() -> None:
    used = os.times()
    reporter = HealthReporter(Health(), 0.0, last_cpu_s=used.user + used.system - 5.0)
    first = reporter.metrics(10.0, 1, JournalCounts(), None)["Health/CpuPercent"]
    assert first == pytest.approx(50.0, abs=2.0)
    assert 0.0 <= reporter.metrics(1_010.0, 1, JournalCounts(), None)["Health/CpuPercent"] < 1.0


def test_the_commit_rate_is_of_the_time_since_the_last_report() -> None:
    health = Health(records_committed=100)
    reporter = HealthReporter(health, 0.0)
    assert reporter.metrics(10.0, 1, JournalCounts(), None)["Health/CommitsPerSecond"] == pytest.approx(10.0)
    health.records_committed = 105
    told = reporter.metrics(12.0, 1, JournalCounts(), None)
    assert told["Health/CommitsPerSecond"] == pytest.approx(2.5)
    assert told["Health/RecordsCommitted"] == 105.0
