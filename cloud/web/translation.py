"""Which language a page speaks, and its texts: one TOML catalogue a language, the same keys in each."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from kit.errors import ZhisanError

LANGUAGES = ("zh-CN", "en")
DEFAULT_LANGUAGE = "zh-CN"
ACCEPTED_MAX = 20
CATALOGUES = Path(__file__).parent / "i18n"


class UnknownTextError(ZhisanError):
    """A template asked for a text that the catalogue does not have."""

    def __init__(self, language: str, key: str) -> None:
        super().__init__(f"the catalogue {language}.toml has no text {key!r}; add it to every language")
        self.language = language
        self.key = key


@dataclass(frozen=True, slots=True, eq=False)
class Catalogue:
    """The texts of one language; called with a key and the values of its {placeholders}."""

    language: str
    texts: Mapping[str, str]

    def __call__(self, key: str, **values: object) -> str:
        """The text of `key`, filled in.

        Raises:
            UnknownTextError: no such key.
        """
        text = self.texts.get(key)
        if text is None:
            raise UnknownTextError(self.language, key)
        return text.format(**values) if values else text

    def count(self, key: str, count: int) -> str:
        """The form of `key` for `count` things: `key.one` for exactly one, else `key.other`."""
        return self(f"{key}.{'one' if count == 1 else 'other'}", count=count)

    def find(self, key: str) -> str | None:
        """The text of `key` where the catalogue has it: for names that come from data."""
        return self.texts.get(key)


def load_catalogues(folder: Path = CATALOGUES) -> dict[str, Catalogue]:
    """Every language's catalogue, read once at start."""
    return {language: _load(folder / f"{language}.toml", language) for language in LANGUAGES}


def choose_language(asked: str | None, remembered: str | None, accepted: str) -> str:
    """The language of a page: what `?lang=` asks, else the cookie, else the best of Accept-Language."""
    for wish in (asked, remembered):
        known = _known(wish or "")
        if known:
            return known
    for tag, _weight in sorted(_accepted(accepted), key=lambda item: -item[1]):
        known = _known(tag)
        if known:
            return known
    return DEFAULT_LANGUAGE


def _load(path: Path, language: str) -> Catalogue:
    tree = tomllib.loads(path.read_text(encoding="utf-8"))
    return Catalogue(language, dict(_flat(tree, "")))


def _flat(tree: Mapping[str, object], prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in tree.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict):
            yield from _flat(value, f"{key}.")
        else:
            assert isinstance(value, str), key
            yield key, value


def _known(tag: str) -> str | None:
    """The language we have for an RFC 5646 tag: exact, else by its primary subtag (`zh-TW` reads zh-CN)."""
    primary = tag.strip().lower().split("-")[0]
    return next((language for language in LANGUAGES if language.lower().split("-")[0] == primary), None)


def _accepted(header: str) -> Iterator[tuple[str, float]]:
    """The tags of an Accept-Language header with their weights (RFC 9110, 12.5.4); malformed parts are passed over."""
    for part in header.split(",")[:ACCEPTED_MAX]:
        tag, _, parameter = part.partition(";")
        name, _, weight = parameter.strip().partition("=")
        try:
            yield tag, float(weight) if name == "q" else 1.0
        except ValueError:
            continue
