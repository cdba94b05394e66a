"""Laws of Sparkplug topics: text and value are the same thing twice, and nothing else is accepted."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.sparkplug.errors import TopicError
from contract.sparkplug.topics import DeviceTopic, NodeKey, NodeTopic, StateTopic, Topic, Verb, check_id, parse

ids = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp"), exclude_characters="+#/\ufeff\ufffe\uffff"),
    min_size=1,
    max_size=20,
)
nodes = st.builds(NodeKey, ids, ids)
topics: st.SearchStrategy[Topic] = st.one_of(
    st.builds(NodeTopic, st.sampled_from([verb for verb in Verb if not verb.is_of_device]), nodes),
    st.builds(DeviceTopic, st.sampled_from([verb for verb in Verb if verb.is_of_device]), nodes, ids),
    st.builds(StateTopic, ids),
)


@given(topics)
def test_a_topic_is_read_back(topic: Topic) -> None:
    assert parse(str(topic)) == topic


@given(st.text(max_size=40) | st.text("+#/ spBv1.0NDATE", max_size=30).map(lambda tail: f"spBv1.0/{tail}"))
def test_any_text_is_a_topic_or_a_topic_error(text: str) -> None:
    with contextlib.suppress(TopicError):
        assert str(parse(text)) == text


@given(ids, st.sampled_from("+#/ \t\n\x00\x1f\x7f\x85\xa0\u2028\u3000\ud800\ufeff"), ids)
def test_an_id_never_holds_what_breaks_topics(head: str, refused: str, tail: str) -> None:
    with pytest.raises(TopicError):
        check_id(head + refused + tail)


@pytest.mark.parametrize(
    ("topic", "parsed"),
    [
        ("spBv1.0/plant1/NBIRTH/gw1", NodeTopic(Verb.NBIRTH, NodeKey("plant1", "gw1"))),
        ("spBv1.0/plant1/DDATA/gw1/注塑机-3", DeviceTopic(Verb.DDATA, NodeKey("plant1", "gw1"), "注塑机-3")),
        ("spBv1.0/STATE/cloud", StateTopic("cloud")),
    ],
)
def test_examples(topic: str, parsed: Topic) -> None:
    assert parse(topic) == parsed
    assert str(parsed) == topic


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "spAv1.0/g/NDATA/n",
        "spBv1.0",
        "spBv1.0/g/NDATA",
        "spBv1.0/g/NDATA/n/d",
        "spBv1.0/g/DDATA/n",
        "spBv1.0/g/DDATA/n/d/e",
        "spBv1.0/g/ndata/n",
        "spBv1.0/g/NOISE/n",
        "spBv1.0/STATE/",
        "spBv1.0/STATE",
        "STATE/cloud",
        "spBv1.0//NDATA/n",
        "spBv1.0/g/NDATA/+",
        "spBv1.0/" + "g" * 129 + "/NDATA/n",
    ],
)
def test_others_are_refused(topic: str) -> None:
    with pytest.raises(TopicError):
        parse(topic)
