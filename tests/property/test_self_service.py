"""Money keeps every unit, months follow each other, writings have our markup alone, diagnosis names what is first."""

import html
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from cloud.self_service.diagnosis import STEPS, Facts, GatewayFact, PressFact, diagnose, first_wrong
from cloud.self_service.domain import a_month_later, day_of, tenant_id_of
from cloud.self_service.writings import search, to_html, writing

FINE_GATEWAY = GatewayFact("p/g", True, 10**12, False, True, True, 0.1, 0)
FINE_PRESS = PressFact("p/m", True, False, True)


def facts(*, gateways: list[GatewayFact] | None = None, presses: list[PressFact] | None = None) -> Facts:
    return Facts(
        0, True, [FINE_GATEWAY] if gateways is None else gateways, [FINE_PRESS] if presses is None else presses
    )


@given(st.integers(1_577_836_800, 3_786_912_000))
def test_a_year_of_months_comes_back_to_its_day(began_s: int) -> None:
    at_ms = began_ms = began_s * 1000
    began = datetime.fromtimestamp(began_s, UTC)
    for _ in range(12):
        later_ms = a_month_later(at_ms, anchor_day=day_of(began_ms))
        assert 28 <= (later_ms - at_ms) / 86_400_000 <= 31
        at_ms = later_ms
    then = datetime.fromtimestamp(at_ms / 1000, UTC)
    is_leap_day = (began.month, began.day) == (2, 29)
    assert (then.year, then.month, then.day) == (began.year + 1, began.month, 28 if is_leap_day else began.day)


@given(st.text(max_size=100))
def test_a_company_s_id_can_stand_anywhere(company: str) -> None:
    assert tenant_id_of(company, "0a1b").replace("-", "a").isalnum()
    assert len(tenant_id_of(company, "0a1b")) <= 64


@given(st.text(alphabet=st.sampled_from("ab<>&\"'`*[](#)-1. \n"), max_size=80))
def test_a_writing_has_no_tag_but_our_own(source: str) -> None:
    made = to_html(source)
    for tag in ("h2", "h3", "p", "ul", "ol", "li", "pre", "code", "strong", "a"):
        made = made.replace(f"</{tag}>", "").replace(f"<{tag}>", "")
    for other in ('<pre class="scroll" tabindex="0">', '<a href="'):
        made = made.replace(other, "")
    assert "<" not in made
    assert html.unescape(made) or not made


def test_markdown_reads_as_it_is_meant() -> None:
    source = (
        "## Way\n\nOne **bold** `code` [link](/plan)\nline.\n\n1. first\n2. second\n   more\n\n- dot\n\n```\na < b\n```"
    )
    assert to_html(source).split("\n") == [
        "<h2>Way</h2>",
        '<p>One <strong>bold</strong> <code>code</code> <a href="/plan">link</a> line.</p>',
        "<ol><li>first</li><li>second more</li></ol>",
        "<ul><li>dot</li></ul>",
        '<pre class="scroll" tabindex="0"><code>a &lt; b</code></pre>',
    ]
    assert "<a" not in to_html("[x](javascript:alert(1)) [y](//evil) [z](http://plain)").replace(
        '<a href="//evil">', ""
    )


def test_search_wants_every_word_and_puts_titles_first() -> None:
    shelf = {
        (name, "en"): writing(name, "en", source)
        for name, source in (("a", "# One\nclaim it"), ("b", "# Claim\nnow"), ("c", "# Three\nother"))
    }
    assert [one.name for one in search(shelf, "en", "CLAIM")] == ["b", "a"]
    assert search(shelf, "en", "claim other") == []
    assert len(search(shelf, "en", "")) == 3


def test_diagnosis_names_the_step_that_is_first_and_says_nothing_of_what_it_cannot_know() -> None:
    assert first_wrong(diagnose(facts())) is None
    assert [answer.step for answer in diagnose(facts())] == list(STEPS)
    nothing = diagnose(facts(gateways=[], presses=[]))
    assert [answer.step for answer in nothing if answer.state == "wrong"] == ["claimed"]
    assert {answer.state for answer in nothing[1:]} == {"not_asked"}
    for broken, step in (
        (GatewayFact("p/g", True, 1, False, True, True, 0.0, 0), "certificate"),
        (GatewayFact("p/g", True, 10**12, True, True, False, 0.0, 0), "certificate"),
        (GatewayFact("p/g", True, 10**12, False, False, False, None, None), "gateway_seen"),
        (GatewayFact("p/g", True, 10**12, False, True, False, 0.0, 0), "gateway_online"),
        (GatewayFact("p/g", True, 10**12, False, True, True, -90.0, 0), "clock"),
        (GatewayFact("p/g", True, 10**12, False, True, True, 0.0, 5_000), "backlog"),
    ):
        found = first_wrong(diagnose(facts(gateways=[broken])))
        assert found is not None
        assert (found.step, found.places, found.count) == (step, ("p/g",), 1)
    for press, step in (
        (PressFact("p/m", True, True, True), "plan_room"),
        (PressFact("p/m", False, False, True), "press_online"),
        (PressFact("p/m", True, False, False), "shots"),
    ):
        found = first_wrong(diagnose(facts(presses=[press])))
        assert found is not None
        assert found.step == step
