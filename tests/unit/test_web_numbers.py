"""Numbers and money read as CLDR writes them in every language that the pages speak."""

import pytest
from babel.numbers import parse_decimal
from hypothesis import given
from hypothesis import strategies as st

from cloud.self_service.domain import CURRENCIES
from cloud.tiering.money import decimals
from cloud.web.numbers import MINUS, money, number
from cloud.web.translation import load_catalogues

CATALOGUES = load_catalogues()


@pytest.mark.parametrize("t", CATALOGUES.values(), ids=CATALOGUES)
def test_point_and_comma_are_those_of_every_language(t):
    symbols = t.locale.number_symbols["latn"]
    assert (symbols["decimal"], symbols["group"]) == (".", ",")
    assert t.locale.decimal_formats[None].pattern == "#,##0.###"


def test_thousands_stand_apart_from_ten_thousand_on():
    assert [number(value) for value in (9_999, 10_000, 1_234_567.8, -45_678)] == [
        "9999",
        "10,000",
        "1,234,568",
        "−45,678",
    ]
    assert number(12_345.6, "N") == "12,346\u202fN"


@given(st.integers(-(10**15), 10**15), st.sampled_from(CURRENCIES), st.sampled_from(list(CATALOGUES)))
def test_no_unit_of_money_is_lost_on_its_way_to_the_page(amount: int, currency: str, language: str) -> None:
    locale = CATALOGUES[language].locale
    told = money(amount, currency, locale)
    figure = told.lstrip("".join(char for char in told if not char.isdigit() and char not in ".,"))
    back = parse_decimal(figure, locale=locale, strict=True)
    assert back.scaleb(decimals(currency)) == abs(amount)
    assert told.startswith(MINUS) == (amount < 0)


def test_money_reads_as_each_language_writes_it():
    t, zh = CATALOGUES["en"], CATALOGUES["zh-CN"]
    assert [t.money(123_450, "CNY"), zh.money(123_450, "CNY")] == ["CN¥1,234.50", "¥1,234.50"]
    assert [t.money(12_345, "JPY"), zh.money(12_345, "JPY")] == ["¥12,345", "JP¥12,345"]
    assert t.money(123_450, "EUR", is_whole=True) == "€1,234"
