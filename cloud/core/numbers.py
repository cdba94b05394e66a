"""Numbers on their way to JSON, which knows neither NaN nor infinity."""

import math
from typing import Annotated, Any

from pydantic import BeforeValidator


def finite_or_none(value: Any) -> Any:
    """`value`, or None for a float that JSON cannot say; within lists and mappings as well."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite_or_none(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite_or_none(part) for part in value]
    return value


Number = Annotated[float | None, BeforeValidator(finite_or_none)]
"""A measured number in an answer; null where there was no good reading."""
