"""The mapping file: which columns of a recorded file are which parameters, in which units, and when they were."""

import tomllib
from datetime import datetime
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AwareDatetime, Field, ValidationError, field_validator, model_validator

from contract.shot import CAVITIES_MAX, PRODUCT_CHARACTERS_MAX
from contract.units import UnitError, conversion
from contract.vocabulary import PARAMETERS, SET_POINTS
from edge_agent.sources.source import SourceError
from kit.settings import Settings


class MappingError(SourceError):
    """A mapping file that cannot be used, or does not fit the file it is for; it names the key or column."""


class Column(Settings):
    """One column that is a parameter."""

    name: str = Field(description="Parameter of contract.vocabulary.")
    unit: str = Field(description="Unit of the column's numbers; converted to the vocabulary's.")
    is_set_value: bool = Field(False, description="The column has what the parameter is set to, not what it was.")

    @model_validator(mode="after")
    def _fits(self) -> "Column":
        if self.name not in PARAMETERS:
            raise ValueError(f"{self.name!r} is no parameter; known are {', '.join(PARAMETERS)}")
        if self.is_set_value and self.name not in SET_POINTS:
            raise ValueError(f"{self.name!r} is no set point; known are {', '.join(SET_POINTS)}")
        try:
            conversion(self.unit, PARAMETERS[self.name].unit)
        except UnitError as error:
            raise ValueError(str(error)) from error
        return self


class FileFormat(Settings):
    """How the file is written."""

    kind: Literal["csv", "parquet"] = "csv"
    delimiter: str = Field(",", min_length=1, max_length=1)
    decimal: Literal[".", ","] = "."
    encoding: str = "utf-8"


class TimeBase(Settings):
    """When each row was: a column of times, or a start and the row's own cycle time."""

    column: str | None = Field(None, description="Column with the time at which the cycle ended.")
    format: str = Field("iso", description="iso, unix_s, unix_ms, or a strptime pattern.")
    timezone: str = Field("UTC", description="Zone of times that name none.")
    start: AwareDatetime | None = Field(None, description="Without a column: when the first row ended.")
    step_column: str | None = Field(None, description="Without a column: the column that says how long a cycle took.")
    step_unit: str = Field("s", description="Its unit.")

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"time zone {value!r} is unknown") from error
        return value

    @model_validator(mode="after")
    def _one_of(self) -> "TimeBase":
        if (self.column is None) == (self.start is None or self.step_column is None):
            raise ValueError("give either column, or start and step_column")
        conversion(self.step_unit, "s")
        return self

    def ended_ms(self, text: str) -> int:
        """The UTC milliseconds of one cell of the time column.

        Raises:
            ValueError: the cell is no time of this format.
        """
        if self.format == "unix_s":
            return round(float(text) * 1000)
        if self.format == "unix_ms":
            return round(float(text))
        moment = datetime.fromisoformat(text) if self.format == "iso" else datetime.strptime(text, self.format)  # noqa: DTZ007
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=ZoneInfo(self.timezone))
        return round(moment.timestamp() * 1000)


class Mapping(Settings):
    """The whole mapping file."""

    press: str = Field(pattern=r"^[^\s+#/\x00-\x1f]{1,64}$", description="Press that the shots belong to.")
    mould: str = ""
    job: str = ""
    material: str = Field("", max_length=PRODUCT_CHARACTERS_MAX)
    product: str = Field("", max_length=PRODUCT_CHARACTERS_MAX)
    cavities: int | None = Field(None, ge=1, le=CAVITIES_MAX)
    dataset: str = Field("", max_length=PRODUCT_CHARACTERS_MAX, description="The production dataset's name.")
    file: FileFormat = FileFormat()
    time: TimeBase
    columns: dict[str, Column] = Field(min_length=1)

    @field_validator("columns")
    @classmethod
    def _each_once(cls, value: dict[str, Column]) -> dict[str, Column]:
        names = [(column.name, column.is_set_value) for column in value.values()]
        twice = sorted({name for name, is_set in names if names.count((name, is_set)) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} is given by more than one column")
        return value

    def wanted(self) -> list[str]:
        """The columns that the file must have."""
        time = [column for column in (self.time.column, self.time.step_column) if column is not None]
        return list(dict.fromkeys([*self.columns, *time]))


def read_mapping(path: Path) -> Mapping:
    """Read and check a mapping file.

    Raises:
        MappingError: it is missing, is not TOML, or has unknown, missing or senseless keys, each named.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MappingError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MappingError(f"{path}: is not TOML: {error}") from error
    try:
        return Mapping.model_validate(raw)
    except (ValidationError, UnitError) as error:
        problems = (
            [f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in error.errors()]
            if isinstance(error, ValidationError)
            else [str(error)]
        )
        raise MappingError(f"{path}: " + "; ".join(problems)) from error
