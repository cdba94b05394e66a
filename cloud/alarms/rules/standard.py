"""The rules that every tenant has as delivered, until somebody saves another version of them. Pure."""

from typing import Final

from cloud.alarms.policy import PRIORITIES
from cloud.alarms.rules.definition import FailureProbability, GatewayTrouble, Rule
from contract.alarming import AlarmRules

STANDARD: Final = "standard."
FAILURES: Final = f"{STANDARD}failure_probability"
TROUBLES: Final = f"{STANDARD}gateway_trouble"
DELIVERED: Final = 0
"""The version of a rule as delivered."""


def delivered(settings: AlarmRules) -> dict[str, Rule]:
    """The rules by id: failure heads as the settings have them, and every trouble of a gateway."""
    return {
        FAILURES: Rule(
            name="Failure probability",
            condition=FailureProbability(threshold=settings.threshold),
            priority=next(name for name in PRIORITIES if name == settings.priority),
            on_delay_shots=settings.on_delay_shots,
            on_delay_s=settings.on_delay_s,
            off_delay_shots=settings.off_delay_shots,
            deadband=settings.deadband,
        ),
        TROUBLES: Rule(name="Gateway trouble", condition=GatewayTrouble()),
    }
