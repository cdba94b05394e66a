"""The rules that every tenant has as delivered, until somebody saves another version of them. Pure."""

from typing import Final

from cloud.alarms.domain import AlarmDefaults
from cloud.alarms.rules.definition import FailureProbability, GatewayTrouble, Rule

STANDARD: Final = "standard."
FAILURES: Final = f"{STANDARD}failure_probability"
TROUBLES: Final = f"{STANDARD}gateway_trouble"
DELIVERED: Final = 0
"""The version of a rule as delivered."""


def delivered(defaults: AlarmDefaults) -> dict[str, Rule]:
    """The rules by id: failure heads as the settings have them, and every trouble of a gateway."""
    limits = defaults.limits
    return {
        FAILURES: Rule(
            name="Failure probability",
            condition=FailureProbability(threshold=limits.threshold),
            priority=defaults.priority,
            on_delay_shots=limits.on_delay_shots,
            on_delay_s=limits.on_delay_s,
            off_delay_shots=limits.off_delay_shots,
            off_delay_s=limits.off_delay_s,
            deadband=limits.deadband,
        ),
        TROUBLES: Rule(name="Gateway trouble", condition=GatewayTrouble()),
    }
