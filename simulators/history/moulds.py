"""The jobs of a plant: the two example processes and moulds like them, a little larger, smaller, thicker."""

from dataclasses import replace
from typing import Final

from simulators.press.process import ABS_HOUSING_2CAV, PP_CAP_4CAV, Process


def _like(process: Process, mould_id: str, *, size: float, wall: float, flow: float, gate: float = 1.0) -> Process:
    """The process for a mould with other geometry; dosing follows the volume, clamp force the area."""
    mould = process.mould
    grown = mould.cavity_cm3 * (size - 1)
    area = process.machine.screw_area_cm2 / 10
    return replace(
        process,
        name=f"{process.name}_{mould_id.lower()}",
        mould=replace(
            mould,
            mould_id=mould_id,
            cavity_cm3=mould.cavity_cm3 * size,
            wall_mm=mould.wall_mm * wall,
            flow_length_mm=mould.flow_length_mm * flow,
            gate_mm=mould.gate_mm * gate,
            projected_cm2=mould.projected_cm2 * size,
        ),
        dose_mm=process.dose_mm + grown / area,
        cool_s=process.cool_s * wall**2,
        clamp_kn=process.clamp_kn * size,
    )


JOBS: Final = (
    PP_CAP_4CAV,
    _like(PP_CAP_4CAV, "CAP-4L", size=1.06, wall=1.05, flow=1.0, gate=1.03),
    _like(PP_CAP_4CAV, "CAP-4S", size=0.95, wall=1.0, flow=0.95, gate=0.98),
    ABS_HOUSING_2CAV,
    _like(ABS_HOUSING_2CAV, "HOUSING-2B", size=1.04, wall=1.04, flow=1.02, gate=1.02),
    _like(ABS_HOUSING_2CAV, "HOUSING-2C", size=0.96, wall=1.0, flow=0.97),
)
"""Six moulds of two families; a press runs those of one family."""
FAMILIES: Final = 2
FAMILY: Final = len(JOBS) // FAMILIES
