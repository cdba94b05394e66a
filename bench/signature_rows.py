"""Which signals should each failure mode move, which way and how far? Ranges of the project's process model."""

from dataclasses import dataclass
from typing import Final, Literal

ROUNDED: Final = 1.05
"""The ranges have one or two digits: so far beyond one still counts as in it."""
Kind = Literal["%", "K", "points", "x", "level", "% a K"]


@dataclass(frozen=True, slots=True)
class Row:
    """One signal of one mode.

    Attributes:
        mode: id of `contract.vocabulary.FAILURE_MODES`, or of an upset.
        signal: as the process model calls it.
        quantity: what the simulator gives for it: a parameter, or a name of `bench.press_signatures.figures`.
        kind: change in percent, kelvin or points of percent, or as a factor; a level; percent a kelvin of colder melt.
        low: the range's weak end, nearest to healthy. With `high` None, only its sign is known.
        high: the range's strong end. `low == -high` is a bound: it stays within.
        factor: by which the simulator may leave the range.
        since: the severity from which the signal must have begun to move.
        at: the severity that the range is of.
        is_hidden: a healthy press wanders by more than half of what this moves.
        unit: of a level.
        note: why it is off, for the page.
    """

    mode: str
    signal: str
    quantity: str
    kind: Kind
    low: float
    high: float | None
    factor: float = ROUNDED
    since: float = 0.3
    at: float = 1.0
    is_hidden: bool = False
    unit: str = ""
    note: str = ""

    @property
    def stays(self) -> bool:
        """Whether the signal should stay where it is."""
        return self.high is not None and self.low == -self.high

    @property
    def rises(self) -> bool:
        """Whether the signal should go up."""
        return (self.low if self.high is None else self.high) > (1 if self.kind == "x" else 0)


ROWS: Final = (
    Row("check_ring_wear", "cushion_sd", "cushion_sd", "x", 2, 6),
    Row("check_ring_wear", "cushion_mean", "CushionStroke", "%", -10, -100),
    Row(
        "check_ring_wear",
        "hold_travel",
        "hold_travel",
        "%",
        5,
        60,
        factor=1.3,
        note="using up the cushion is +72 / +87 % of travel in these jobs",
    ),
    Row(
        "check_ring_wear",
        "non-closing shots",
        "non_closing",
        "level",
        0.03,
        None,
        unit="%",
        since=1.0,
        is_hidden=True,
        note="1 % of the shots at severity 1: too rare for 400",
    ),
    Row(
        "check_ring_wear",
        "part_weight_range",
        "weight_sd",
        "level",
        1,
        4,
        factor=4,
        is_hidden=True,
        note="hold makes good what the melt lacks; only shots that run out of cushion weigh less",
        unit="%",
    ),
    Row("check_ring_wear", "shot_volume_needed", "ShotVolume", "%", 0, 10),
    Row("check_ring_wear", "peak_pressure", "SpecificPressureMaximum", "%", -1, -5),
    Row("screw_barrel_wear", "dosing_time", "DosingTime", "%", 5, 25),
    Row("screw_barrel_wear", "screw_turns", "ScrewRevolutions", "%", 5, 25),
    Row("screw_barrel_wear", "melt_temp", "MeltTemperature", "K", 2, 8),
    Row(
        "screw_barrel_wear",
        "energy_plasticising",
        "screw_work",
        "%",
        5,
        15,
        factor=1.25,
        note="more turns at nearly the same torque",
    ),
    Row(
        "screw_barrel_wear",
        "back_pressure_noise",
        "back_ripple",
        "x",
        1.5,
        1.5,
        note="of the maximum above the mean; the mean scatters as before",
    ),
    Row("heater_band_open", "heater_partial: zone_duty", "HeaterDuty3", "%", 30, 60, at=0.6),
    Row("heater_band_open", "heater_partial: zone_temp", "BarrelTemperature3", "K", -0.5, 0.5, at=0.6),
    Row("heater_band_open", "zone_duty", "HeaterDuty3", "level", 100, 100, unit="%"),
    Row("heater_band_open", "zone_temp", "BarrelTemperature3", "K", -10, -40, since=1.0),
    Row(
        "heater_band_open",
        "neighbour_duty (4)",
        "HeaterDuty4",
        "%",
        10,
        30,
        factor=1.65,
        note="at 15 % duty a few points are much",
        since=1.0,
    ),
    Row("heater_band_open", "neighbour_duty (2)", "HeaterDuty2", "%", 10, 30, since=1.0),
    Row(
        "heater_band_open",
        "peak_pressure",
        "peak_per_k",
        "% a K",
        1,
        1,
        factor=1.7,
        note="PP thins less with heat than ABS",
        since=1.0,
    ),
    Row(
        "heater_band_open",
        "screw_torque",
        "ScrewTorqueAverage",
        "%",
        5,
        20,
        factor=3,
        note="zone 3 costs the melt 8 K; zone 4 would cost 16 K and give 3.6 / 9.5",
        since=1.0,
    ),
    Row(
        "heater_band_open",
        "cushion",
        "CushionStroke",
        "%",
        10,
        30,
        factor=1.7,
        note="zone 3 costs the melt 8 K; zone 4 would cost 16 K and give 13 / 14",
        since=1.0,
    ),
    Row(
        "heater_band_open",
        "part_weight",
        "part_g",
        "%",
        0.3,
        1.4,
        factor=7,
        is_hidden=True,
        note="the gate freezes before hold ends whatever the melt is",
        since=1.0,
    ),
    Row("thermocouple_drift", "indicated_temp", "BarrelTemperature4", "K", -0.5, 0.5),
    Row("thermocouple_drift", "true_temp (melt)", "MeltTemperature", "K", 5, 15),
    Row("thermocouple_drift", "zone_duty", "HeaterDuty4", "points", 1, None),
    Row(
        "thermocouple_drift",
        "peak_pressure",
        "peak_per_k",
        "% a K",
        1,
        1,
        factor=1.8,
        note="PP thins less with heat than ABS",
    ),
    Row("thermocouple_drift", "dosing_time", "DosingTime", "%", -3, 3),
    Row(
        "pump_leakage",
        "flow",
        "InjectionSpeedAverage",
        "%",
        -2.7,
        -4.1,
    ),
    Row(
        "pump_leakage",
        "system_pressure",
        "SystemPressureMaximum",
        "%",
        -0.23,
        -0.35,
        factor=2.0,
        note="what the rig's flow costs in this press's drive",
    ),
    Row("pump_leakage", "injection_time", "InjectionTime", "%", 1, None),
    Row("pump_leakage", "oil_temp", "OilTemperature", "K", 2, 8),
    Row("pump_leakage", "specific_energy", "EnergyPerCycle", "%", 3, 8),
    Row("valve_lag_stiction", "flow_peak", "InjectionSpeedMaximum", "%", 0.9, 16.5),
    Row(
        "valve_lag_stiction",
        "injection_time_sd",
        "injection_time_sd",
        "x",
        2,
        5,
        factor=1.3,
        note="a valve that sticks throughout",
    ),
    Row("valve_lag_stiction", "transfer_overshoot", "HoldSpecificPressureMaximum", "%", 2, 8),
    Row("valve_lag_stiction", "hold_pressure_ripple", "hold_ripple", "points", 1, 3),
    Row("accumulator_precharge_loss", "pressure_peak", "SystemPressureMaximum", "%", -2.4, -10.8),
    Row(
        "accumulator_precharge_loss",
        "injection_speed_max",
        "InjectionSpeedMaximum",
        "%",
        -1,
        None,
        is_hidden=True,
        note="the jobs ask for 62 and 52 mm/s, well below the valve's 110",
    ),
    Row("oil_cooler_fouling", "oil_temp", "OilTemperature", "%", 20, 59),
    Row("cooling_fouling", "flow", "CoolantFlow", "%", -10, -50),
    Row(
        "cooling_fouling",
        "water_dT",
        "CoolantTemperatureRise",
        "level",
        4,
        6,
        factor=1.15,
        note="the scale also keeps heat out of the water",
        unit="K",
    ),
    Row("cooling_fouling", "mould_temp", "MouldTemperature", "K", 1, 8),
    Row("cooling_fouling", "shrinkage_warpage", "dimension_mm", "%", 1, None),
    Row("mould_parting_wear_flash", "part_weight", "part_g", "%", 0.3, 1.5),
    Row("mould_parting_wear_flash", "cavity_peak", "CavityPressureMaximum", "%", -1, -5, factor=1.1),
    Row("mould_parting_wear_flash", "cushion", "CushionStroke", "%", -1, None),
    Row(
        "nozzle_leak_drool",
        "cushion",
        "CushionStroke",
        "%",
        -5,
        -30,
        factor=1.1,
        note="it leaks with the square of the pressure: 380 bar of hold in PP, 550 in ABS",
    ),
    Row(
        "nozzle_leak_drool",
        "weight",
        "part_g",
        "%",
        -1,
        None,
        is_hidden=True,
        note="hold makes good what the melt lacks",
    ),
    Row("gate_or_nozzle_blocked", "peak_pressure", "SpecificPressureMaximum", "%", 10, 40),
    Row("gate_or_nozzle_blocked", "cavity_balance", "part_g", "%", -1, None),
    Row("gate_or_nozzle_blocked", "hold_travel", "hold_travel", "%", -1, None),
    Row("toggle_tiebar_wear", "clamp_force", "ClosingForce", "%", -1, -5),
    Row("toggle_tiebar_wear", "tie_bar_imbalance", "TieBarImbalance", "level", 15, 15, unit="%"),
    Row("toggle_tiebar_wear", "close_time", "MouldClosingTime", "%", 1, 5),
    Row("toggle_tiebar_wear", "mould_protection_force", "MouldProtectionForce", "%", 10, 40),
    Row("ejector_core_friction", "ejector_torque", "EjectorForceMaximum", "%", 10, 60),
    Row("ejector_core_friction", "ejector_time", "EjectionTime", "%", 2, 15),
    Row("ejector_core_friction", "cycle_time", "CycleTime", "%", 1, None),
)
UPSET_ROWS: Final = (
    Row("viscosity_lot_change", "peak_pressure (lot 15 % thicker)", "SpecificPressureMaximum", "%", 3, 15),
    Row("viscosity_lot_change", "transfer_pressure", "TransferSpecificPressure", "%", 3, 15),
    Row("viscosity_lot_change", "pressure_integral_fill", "FlowIndex", "%", 3, 15),
    Row(
        "viscosity_lot_change",
        "cushion",
        "CushionStroke",
        "%",
        2,
        10,
        factor=6,
        is_hidden=True,
        note="through the ring's closing alone",
    ),
    Row(
        "viscosity_lot_change",
        "weight",
        "part_g",
        "%",
        0.1,
        0.5,
        factor=60,
        is_hidden=True,
        note="hold makes good what the melt lacks",
    ),
    Row("moisture_high", "peak_pressure (undried)", "SpecificPressureMaximum", "%", -2, -10),
    Row("moisture_high", "transfer_pressure", "TransferSpecificPressure", "%", -2, -10),
    Row("moisture_high", "dosing_time", "DosingTime", "%", -3, 3, factor=1.1),
    Row("moisture_high", "cushion", "CushionStroke", "%", -1, None),
    Row("ambient_change", "oil (hall 8 K warmer)", "OilTemperature", "K", 1, None),
    Row(
        "ambient_change",
        "mould",
        "MouldTemperature",
        "K",
        1,
        None,
        is_hidden=True,
        note="8 % of the hall's change reaches the coolant",
    ),
)
"""What is no failure: fully there."""
