"""docs/reference/cli.md has every command that the programs offer, with every option, and none that they do not."""

import importlib
import re
from contextlib import redirect_stdout, suppress
from functools import cache
from io import StringIO
from pathlib import Path

from deploy.cli import PROGRAMS
from deploy.models_cli import COMMANDS

PAGE = Path("docs/reference/cli.md")
ROW = re.compile(r"^\| `zhisan ([a-z][a-z-]*(?: [a-z][a-z-]*)*)(.*)$", re.M)
SECTION = re.compile(r"^## `zhisan ([a-z -]+)`\n(.*?)(?=^## |\Z)", re.M | re.S)
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
LINK = re.compile(r"\]\(([\w/.]+\.md)\)")


def test_the_page_has_the_commands_that_there_are(root: Path) -> None:
    assert sorted(_told(root / PAGE)) == sorted(" ".join(words) for words in _commands())


def test_every_option_of_a_command_is_told(root: Path) -> None:
    told = _told(root / PAGE)
    untold = [
        f"{' '.join(words)} {option}"
        for words in _commands()
        for option in sorted(set(OPTION.findall(_usage(words))) - {"--help"})
        if option not in OPTION.findall(told.get(" ".join(words), ""))
    ]
    assert not untold


def _told(page: Path) -> dict[str, str]:
    """By command what is told of it: its row, its section if it has one, and the pages to which the row leads."""
    text = page.read_text(encoding="utf-8")
    sections = dict(SECTION.findall(text))
    return {
        words: "\n".join(
            [row, sections.get(words, ""), *((page.parent / link).read_text() for link in LINK.findall(row))]
        )
        for words, row in ROW.findall(text)
    }


def _commands() -> list[tuple[str, ...]]:
    """Every command, by what the programs themselves say; `sim` is one, and has others below it."""
    found: list[tuple[str, ...]] = []
    for program in PROGRAMS:
        choices = re.search(r"\{([a-z,-]+)\}\s+\.\.\.", _usage((program,)))
        below = (
            choices[1].split(",") if choices else re.findall(rf"`zhisan {program} ([a-z-]+) --help`", _help((program,)))
        )
        below = list(COMMANDS) if program == "models" else below
        found += [(program, each) for each in below]
        if not below or program == "sim":
            found.append((program,))
    return found


def _usage(words: tuple[str, ...]) -> str:
    return _help(words).partition("usage:")[2]


@cache
def _help(words: tuple[str, ...]) -> str:
    said = StringIO()
    with redirect_stdout(said), suppress(SystemExit):
        importlib.import_module(PROGRAMS[words[0]][0]).main([*words[1:], "--help"])
    return said.getvalue()
