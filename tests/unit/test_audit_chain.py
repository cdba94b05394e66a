"""The chain of the audit log: what was written in order holds, and every other sequence breaks where it differs."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cloud.core.audit_chain import GENESIS, Entry, Finding, follow, following

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
COLUMNS = st.fixed_dictionaries({"action": st.text(), "after": JSON})


def chained(lines: list[dict[str, Any]]) -> list[Entry]:
    link, entries = GENESIS, []
    for columns in lines:
        link = following(link, columns)
        entries.append(Entry(link, columns))
    return entries


@given(st.lists(COLUMNS), st.integers(0, 10))
def test_what_was_written_in_order_holds_however_it_is_cut_into_batches(lines: list[Any], at: int) -> None:
    entries = chained(lines)
    first = follow(GENESIS, entries[:at])
    assert follow(first.head, entries[at:]) == Finding(entries[-1].link if entries else GENESIS)


@given(st.lists(COLUMNS, min_size=1), COLUMNS, st.data())
def test_a_changed_line_is_the_first_that_does_not_hold(lines: list[Any], other: Any, data: st.DataObject) -> None:
    entries = chained(lines)
    at = data.draw(st.integers(0, len(lines) - 1))
    is_same = following(GENESIS, other) == following(GENESIS, lines[at])
    entries[at] = Entry(entries[at].link, other)
    assert follow(GENESIS, entries).broken_id == (None if is_same else at + 1)


@given(st.lists(COLUMNS, min_size=2), st.data())
def test_a_line_taken_out_is_named_by_its_own_number(lines: list[Any], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(lines) - 2))
    entries = chained(lines)
    del entries[at]
    assert follow(GENESIS, entries) == Finding(GENESIS if at == 0 else entries[at - 1].link, at + 1)
