"""Customers that may be one are found by tenant and by spelling."""

from uuid import UUID

import pytest

from cloud.tiering.duplicates import GROUPS_MAX, alike, spelt


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("Müller GmbH", "MULLER", True),
        ("Acme Plastics Co., Ltd.", "acme plastics", True),
        ("海天塑机集团有限公司", "海天塑机", True),
        ("ＡＢＣ 塑料", "abc塑料", True),
        ("Acme Plastics", "Acme Metals", False),
        ("Halle 2", "Halle 3", False),
    ],
)
def test_spelling_alone_makes_no_other_company(one: str, other: str, is_same: bool) -> None:  # noqa: FBT001
    assert (spelt(one) == spelt(other)) is is_same


def test_groups_are_named_by_why_once_and_bounded() -> None:
    rows = [
        (UUID(int=1), "A", "Acme", "acme"),
        (UUID(int=2), "B", "Acme Ltd", "acme"),
        (UUID(int=3), "C", "Other", None),
        (UUID(int=4), "D", "Co., Ltd.", None),
        (UUID(int=5), "E", "GmbH", None),
    ]
    found = alike(rows)
    assert [(group.why, [each.code for each in group.customers]) for group in found] == [("tenant", ["A", "B"])]
    many = [(UUID(int=at), str(at), f"N{at // 2}", None) for at in range(400)]
    assert len(alike(many)) == GROUPS_MAX
