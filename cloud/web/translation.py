"""Which language a page speaks, and its texts: one gettext catalogue a language, the same keys (msgids) in each."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path

from babel import Locale
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations

from cloud.web import numbers
from kit.errors import ZhisanError

LANGUAGES = ("zh-CN", "en")
DEFAULT_LANGUAGE = "zh-CN"
ACCEPTED_MAX = 20
CATALOGUES = Path(__file__).parent / "i18n"


class UnknownTextError(ZhisanError):
    """A template asked for a text that the catalogue does not have."""

    def __init__(self, language: str, key: str) -> None:
        super().__init__(f"the catalogue {language}.po has no text {key!r}; add it to every language")
        self.language = language
        self.key = key


@dataclass(frozen=True, slots=True, eq=False)
class Catalogue:
    """The texts of one language; called with a key and the values of its {placeholders}."""

    language: str
    locale: Locale
    texts: Mapping[str, str]
    counted: Mapping[str, tuple[str, ...]]
    """The forms of texts with a number, in the order of the catalogue's Plural-Forms."""
    form: Callable[[str, str, int], str]

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
        """The text of `key` in the language's form for `count` things (gettext's msgid_plural).

        Raises:
            UnknownTextError: no such key, or it has no forms.
        """
        if key not in self.counted:
            raise UnknownTextError(self.language, key)
        return self.form(key, key, count).format(count=numbers.number(count))

    def find(self, key: str) -> str | None:
        """The text of `key` where the catalogue has it: for names that come from data."""
        return self.texts.get(key)

    def money(self, amount_minor: int, currency: str, *, is_whole: bool = False) -> str:
        """See `numbers.money`, as this language writes it."""
        return numbers.money(amount_minor, currency, self.locale, is_whole=is_whole)


def load_catalogues(folder: Path = CATALOGUES) -> dict[str, Catalogue]:
    """Every language's catalogue, read once at start.

    Raises:
        babel.messages.pofile.PoFileError: a catalogue breaks the format of .po files.
    """
    return {language: load_catalogue(folder / f"{language}.po", language) for language in LANGUAGES}


@cache
def load_catalogue(path: Path, language: str) -> Catalogue:
    """One language's catalogue, from the .po that translators edit; fuzzy entries count as missing.

    A file is read once: three parts of the program want it, and reading takes 25 ms.
    """
    locale = Locale.parse(language, sep="-")
    with path.open("rb") as file:
        catalog = read_po(file, locale=locale, abort_invalid=True)
    good = [message for message in catalog if message.id and not message.fuzzy]
    return Catalogue(
        language,
        locale,
        texts={str(message.id): str(message.string) for message in good if not message.pluralizable},
        counted={message.id[0]: tuple(message.string or ()) for message in good if message.pluralizable},
        form=_compiled(catalog).ngettext,
    )


def choose_language(asked: str | None, remembered: str | None, accepted: str) -> str:
    """The language of a page: what `?lang=` asks, else of the account or cookie, else the best of Accept-Language."""
    for wish in (asked, remembered):
        known = _known(wish or "")
        if known:
            return known
    for tag, _weight in sorted(_accepted(accepted), key=lambda item: -item[1]):
        known = _known(tag)
        if known:
            return known
    return DEFAULT_LANGUAGE


def _compiled(catalog: Catalog) -> Translations:
    compiled = BytesIO()
    write_mo(compiled, catalog)
    compiled.seek(0)
    return Translations(compiled)


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
