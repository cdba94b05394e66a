"""Customers that may be one: the same tenant on the platform, or names that differ in spelling alone. Pure."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal
from uuid import UUID

GROUPS_MAX: Final = 50
GROUP_MAX: Final = 10
FORMS: Final = frozenset(
    (
        "co",
        "company",
        "corp",
        "corporation",
        "gmbh",
        "ag",
        "kg",
        "inc",
        "ltd",
        "limited",
        "llc",
        "sa",
        "srl",
        "bv",
        "the",
    )
)
"""Words that say of which legal form a company is."""
FORMS_ZH: Final = ("股份有限公司", "有限责任公司", "有限公司", "集团", "公司")
Why = Literal["tenant", "name"]


@dataclass(frozen=True, slots=True)
class Label:
    """A customer as its files name it."""

    customer_id: UUID
    code: str
    name: str


@dataclass(frozen=True, slots=True)
class Group:
    """Customers that may be one, by code."""

    why: Why
    customers: tuple[Label, ...]


def alike(rows: Sequence[Sequence[Any]]) -> list[Group]:
    """Groups of (id, code, name, tenant); at most GROUPS_MAX, of GROUP_MAX each, those of a tenant first."""
    found: list[Group] = []
    seen: set[frozenset[UUID]] = set()
    for why, keys in (("tenant", [row[3] for row in rows]), ("name", [spelt(row[2]) for row in rows])):
        groups: dict[str, list[Label]] = {}
        for row, key in zip(rows, keys, strict=True):
            if key:
                groups.setdefault(key, []).append(Label(row[0], row[1], row[2]))
        for group in groups.values():
            ids = frozenset(each.customer_id for each in group)
            if len(group) > 1 and ids not in seen:
                seen.add(ids)
                found.append(Group("tenant" if why == "tenant" else "name", tuple(group[:GROUP_MAX])))
    return found[:GROUPS_MAX]


def spelt(name: str) -> str:
    """A name without case, width, accents, punctuation, and the company's legal form."""
    plain = unicodedata.normalize("NFKD", name).casefold()
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    for form in FORMS_ZH:
        plain = plain.replace(form, "")
    words = [word for word in re.split(r"[\W_]+", plain) if word and word not in FORMS]
    return "".join(words)
