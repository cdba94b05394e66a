"""What is set on a press, and what stands in it? Machine, mould and set points of the two example processes."""

from dataclasses import dataclass, field
from math import pi
from typing import Final

from simulators.press.material import ABS, PP_MFR12, Material


@dataclass(frozen=True, slots=True)
class Machine:
    """A 160 t servo-hydraulic toggle machine; class values, see docs/reference/press_model.md."""

    screw_diameter_mm: float = 45.0
    intensification: float = 11.3
    acceleration_mm_s2: float = 1_500.0
    valve_delay_s: float = 0.008
    """From the switch-over trigger to the pressure valve's first answer."""
    valve_lag_s: float = 0.04
    check_ring_land_mm: float = 20.0
    decompression_mm: float = 3.0
    dead_cm3: float = 25.0
    """Melt before the screw at its front stop: screw tip, cylinder head, nozzle."""
    heater_kw: tuple[float, ...] = (2.2, 2.6, 2.6, 2.2, 0.6)
    """Installed, of the barrel's zones from the hopper and of the nozzle."""
    zone_steps_k: tuple[float, ...] = (-35.0, -20.0, -8.0, 0.0, 0.0)
    """Set points of the zones against the melt's."""
    speed_max_mm_s: float = 110.0
    system_bar: float = 145.0
    """Of the charged accumulator."""
    pump_l_min: float = 70.0
    can_dose_while_open: bool = True
    """The nozzle shuts off, so that the next shot may still be dosed while the mould opens."""
    idle_kw: float = 2.5
    drive_efficiency: float = 0.6
    clamp_stiffness_kn_mm: float = 1_300.0
    """Of tie bars, platens and toggle in series."""

    @property
    def screw_area_cm2(self) -> float:
        """Cross-section of the screw; one mm of stroke sweeps a tenth of it in cm³."""
        return pi * (self.screw_diameter_mm / 10) ** 2 / 4


@dataclass(frozen=True, slots=True)
class Mould:
    """Flow path and cavity: a round nozzle and runner, then a slit; all cavities in parallel."""

    mould_id: str
    cavities: int
    cavity_cm3: float
    """Volume of all cavities and of the cold runner."""
    wall_mm: float
    flow_length_mm: float
    flow_width_mm: float
    """Of one cavity's slit."""
    runner_length_mm: float
    runner_radius_mm: float
    nozzle_length_mm: float
    nozzle_radius_mm: float
    gate_mm: float
    projected_cm2: float


@dataclass(frozen=True, slots=True)
class Process:
    """The set points of a job, with the material and the mould that they were found for."""

    name: str
    material: Material
    mould: Mould
    melt_degc: float
    mould_degc: float
    dose_mm: float
    """Screw position at the end of dosing; decompression comes on top."""
    speed_mm_s: float
    vp_mm: float
    pressure_limit_bar: float
    hold_bar: float
    hold_s: float
    cool_s: float
    back_bar: float
    rpm: float
    dosing_cm3_per_turn: float
    clamp_kn: float
    handling_s: float
    """Opening, ejection, closing and the nozzle's contact: what is left of the cycle."""
    coolant_l_min: float
    length_mm: float
    """The part's controlled length in the mould."""
    injection_s_max: float
    """The press switches to hold after this time at the latest."""
    critical_gap_mm: float
    """The check ring's gap at which it is condemned: smaller for a thin melt, which leaks more through the same."""
    closing_s: float = 1.5
    opening_s: float = 1.2
    ejection_s: float = 0.7
    ejector_kn: float = 3.0
    mould_speed_share: float = 1.0
    """Of the mould's set speeds."""
    machine: Machine = field(default_factory=Machine)

    @property
    def job_name(self) -> str:
        """The job that makes these parts."""
        return f"JOB-{self.name}"


SET_POINT_STEPS: Final = {"hold_bar": 0.06, "speed_mm_s": 0.06, "melt_degc": 0.02, "cool_s": 0.08, "back_bar": 0.15}
"""What an operator changes a set point by, as a share of the job's own."""

PP_CAP_4CAV: Final = Process(
    name="PP_cap_4cav",
    material=PP_MFR12,
    mould=Mould(
        mould_id="CAP-4",
        cavities=4,
        cavity_cm3=74.0,
        wall_mm=1.6,
        flow_length_mm=170.0,
        flow_width_mm=34.0,
        runner_length_mm=180.0,
        runner_radius_mm=1.7,
        nozzle_length_mm=60.0,
        nozzle_radius_mm=2.0,
        gate_mm=1.45,
        projected_cm2=260.0,
    ),
    melt_degc=230.0,
    mould_degc=35.0,
    dose_mm=59.6,
    speed_mm_s=62.0,
    vp_mm=11.1,
    pressure_limit_bar=1_100.0,
    hold_bar=380.0,
    hold_s=4.0,
    cool_s=8.0,
    back_bar=60.0,
    rpm=110.0,
    dosing_cm3_per_turn=7.9,
    clamp_kn=1_200.0,
    handling_s=4.6,
    coolant_l_min=12.0,
    length_mm=34.0,
    injection_s_max=2.2,
    critical_gap_mm=0.105,
)

ABS_HOUSING_2CAV: Final = Process(
    name="ABS_housing_2cav",
    material=ABS,
    mould=Mould(
        mould_id="HOUSING-2",
        cavities=2,
        cavity_cm3=127.0,
        wall_mm=2.2,
        flow_length_mm=210.0,
        flow_width_mm=63.0,
        runner_length_mm=160.0,
        runner_radius_mm=1.95,
        nozzle_length_mm=60.0,
        nozzle_radius_mm=2.1,
        gate_mm=1.75,
        projected_cm2=280.0,
    ),
    melt_degc=240.0,
    mould_degc=60.0,
    dose_mm=92.8,
    speed_mm_s=52.0,
    vp_mm=11.3,
    pressure_limit_bar=1_500.0,
    hold_bar=550.0,
    hold_s=6.0,
    cool_s=14.0,
    back_bar=85.0,
    rpm=80.0,
    dosing_cm3_per_turn=10.4,
    clamp_kn=1_500.0,
    handling_s=10.2,
    coolant_l_min=10.0,
    length_mm=210.0,
    injection_s_max=4.4,
    critical_gap_mm=0.14,
    closing_s=1.9,
    opening_s=1.5,
    ejection_s=1.1,
    ejector_kn=6.0,
)

PROCESSES: Final = {process.name: process for process in (PP_CAP_4CAV, ABS_HOUSING_2CAV)}
