"""Evidence that was packed is the evidence: whatever the rows, the packs they fell into, and who was merged since."""

from itertools import chain
from uuid import UUID

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cloud.tiering.evidence import KINDS, EvidenceTable
from cloud.tiering.packing import Assembly, Columns, joined, pack, unpack

PEOPLE = [UUID(int=at + 1) for at in range(6)]
Row = tuple[int, int, int, int, float]
ROWS = st.lists(
    st.tuples(
        st.integers(0, len(PEOPLE) - 1),
        st.integers(0, len(KINDS) - 1),
        st.integers(7_000, 30_000),
        st.integers(0, 10**14),
        st.floats(-1e12, 1e12),
    ),
    max_size=30,
)


def columns(rows: list[Row]) -> Columns:
    owners = sorted({row[0] for row in rows}, reverse=True)
    return Columns(
        [PEOPLE[each] for each in owners],
        np.array([owners.index(row[0]) for row in rows], np.int32),
        np.array([row[1] for row in rows], np.int8),
        np.array([row[2] for row in rows], np.int32),
        np.array([row[3] for row in rows], np.float64),
        np.array([row[4] for row in rows], np.float64),
    )


def told(table: EvidenceTable) -> list[tuple[float, ...]]:
    parts = (table.customer, table.code, table.day, table.amount, table.quantity)
    return list(zip(*(part.tolist() for part in parts), strict=True))


@given(packs=st.lists(ROWS, max_size=4), tail=ROWS, merged=st.sampled_from([{}, {PEOPLE[4]: PEOPLE[0]}]))
def test_packs_and_what_is_not_packed_yet_make_the_table_that_the_rows_make(
    packs: list[list[Row]], tail: list[Row], merged: dict[UUID, UUID]
) -> None:
    known = PEOPLE[:4]
    assembly = Assembly(known, merged)
    for place, rows in reversed(list(enumerate(packs))):
        assembly.add(place, *pack(columns(rows)))
    assembly.add_columns(columns(tail))
    place = {0: 0, 1: 1, 2: 2, 3: 3} | ({4: 0} if merged else {})
    kept = [row for row in [*chain(*packs), *tail] if row[0] in place]
    wanted = EvidenceTable(
        [str(each) for each in known],
        [place[row[0]] for row in kept],
        *([row[at] for row in kept] for at in range(1, 5)),
    )
    found = assembly.table()
    assert found.ids == wanted.ids
    assert told(found) == told(wanted)


@given(first=ROWS, second=ROWS)
def test_a_pack_that_is_made_anew_with_more_rows_has_them_all_in_their_order(
    first: list[Row], second: list[Row]
) -> None:
    whole = unpack(*pack(joined(unpack(*pack(columns(first))), columns(second))))
    owners = [whole.owners[at] for at in whole.owner]
    assert owners == [PEOPLE[row[0]] for row in [*first, *second]]
    assert whole.amount.tolist() == [row[3] for row in [*first, *second]]
    assert whole.quantity.tolist() == [row[4] for row in [*first, *second]]
