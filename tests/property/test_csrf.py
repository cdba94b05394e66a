"""A form's token: another one in each answer, all of them good, none other is."""

import base64

from hypothesis import given
from hypothesis import strategies as st

from cloud.core import csrf

secrets = st.text(alphabet="0123456789abcdef", min_size=1, max_size=64)


@given(secrets)
def test_every_token_of_a_secret_is_good_and_no_two_are_alike(secret: str) -> None:
    tokens = [csrf.masked(secret) for _ in range(3)]
    assert all(csrf.is_token_of(token, secret) for token in tokens)
    assert len(secret) < 8 or len(set(tokens)) == 3
    assert len(secret) < 8 or not any(secret in token for token in tokens)


@given(secrets, st.data())
def test_a_token_of_which_one_bit_is_changed_is_refused(secret: str, data: st.DataObject) -> None:
    bits = bytearray(base64.urlsafe_b64decode(csrf.masked(secret)))
    bits[data.draw(st.integers(0, len(bits) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert not csrf.is_token_of(base64.urlsafe_b64encode(bits).decode(), secret)


@given(secrets, st.one_of(st.text(), secrets))
def test_what_was_not_made_of_the_secret_is_refused(secret: str, told: str) -> None:
    assert not csrf.is_token_of(told, secret)
    assert told == secret or not csrf.is_token_of(csrf.masked(told), secret)


@given(st.text())
def test_without_a_secret_there_is_no_good_token(told: str) -> None:
    assert csrf.masked("") == ""
    assert not csrf.is_token_of(told, "")
