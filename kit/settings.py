"""One TOML file plus environment overrides, checked as a whole; every complaint names its key."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from kit.errors import ZhisanError


class Settings(BaseModel):
    """Base of every settings section: frozen, unknown keys refused by name."""

    model_config = ConfigDict(extra="forbid", frozen=True)


_S = TypeVar("_S", bound=Settings)


class SettingsError(ZhisanError):
    """A settings file that cannot be used; `problems` holds one line for each key that is wrong."""

    def __init__(self, path: Path, problems: list[str]) -> None:
        super().__init__(f"{path}: " + "; ".join(problems))
        self.path = path
        self.problems = problems


def load(model: type[_S], path: Path, *, prefix: str, environ: Mapping[str, str] = os.environ) -> _S:
    """Read `path`, lay `{prefix}SECTION__KEY` variables over it, and validate.

    A variable's value is read as TOML where it parses (`8883`, `true`, `["a"]`), else as a string.

    Raises:
        SettingsError: the file is missing, is not TOML, or has keys that are unknown, missing or out of range.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(path, [f"cannot be read: {error.strerror}"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(path, [f"is not TOML: {error}"]) from error
    for name, text in sorted(environ.items()):
        if name.startswith(prefix):
            _lay_over(raw, name.removeprefix(prefix).lower().split("__"), _value(text))
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise SettingsError(path, [_line(problem) for problem in error.errors()]) from error


def _lay_over(raw: dict[str, Any], keys: list[str], value: object) -> None:
    for key in keys[:-1]:
        section = raw.setdefault(key, {})
        if not isinstance(section, dict):
            return
        raw = section
    raw[keys[-1]] = value


def _value(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _line(problem: Mapping[str, Any]) -> str:
    key = ".".join(str(part) for part in problem["loc"]) or "the file"
    if problem["type"] == "extra_forbidden":
        return f"{key}: unknown key"
    return f"{key}: {problem['msg']}"
