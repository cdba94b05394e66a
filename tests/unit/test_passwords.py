"""Which passwords are taken and how they are kept: lines 2.1 and 2.4 of docs/reference/security.md."""

import pytest

from cloud.identity import passwords
from cloud.identity.passwords import PasswordError, Passwords

CALM = "a calm press at night"


@pytest.mark.parametrize(
    "password",
    [
        "abcdefghijk!"[:12],
        CALM,
        "注塑机在夜里安静地运转着呢",
        "🏭 six cavities 🏭",
        "onlysmalletters",
        "  spaces around them  ",
        "0123456789" * 6 + "abcd",
        ("calm press " * 12)[:128],
    ],
    ids=["12", "words", "chinese", "emoji", "one-kind", "spaces", "64", "128"],
)
def test_any_characters_are_taken_from_12_to_128_and_no_kind_is_demanded(password: str) -> None:
    passwords.check(password, "anna@plant")


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("abcdefghijk", "short"),
        (("calm press " * 12)[:129], "long"),
        ("Password1234", "common"),
        ("anna-anna-1x", "name"),
    ],
)
def test_what_is_refused_says_why(password: str, reason: str) -> None:
    with pytest.raises(PasswordError) as refused:
        passwords.check(password, "anna@plant")
    assert refused.value.reason == reason


@pytest.mark.anyio
async def test_a_password_counts_to_its_last_character() -> None:
    keeper, password = Passwords(memory_kib=8, passes=1), ("calm press " * 12)[:128]
    kept = await keeper.hash(password)
    assert await keeper.is_right(password, kept)
    assert not await keeper.is_right(password[:-1] + "x", kept)
    assert not await keeper.is_right(password[:-1], kept)


@pytest.mark.anyio
async def test_passwords_are_kept_by_argon2id_at_full_cost_each_with_its_own_salt() -> None:
    keeper = Passwords()
    first, second = await keeper.hash(CALM), await keeper.hash(CALM)
    assert first.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert first.split("$")[4] != second.split("$")[4], "two salts"
    assert first.split("$")[5] != second.split("$")[5]
    assert not await keeper.is_right("nobody's password", None), "an unknown login is never let in"
