"""Rules of accounts: roles never grow out of nothing, an admin stays, locks grow and end, secrets are known again."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from cloud.core.access import PLANT_ROLES, RIGHTS, Right, Role
from cloud.core.tenants import DEFAULT_TENANT
from cloud.identity import domain, passwords, tokens
from cloud.identity.domain import RoleError
from cloud.identity.passwords import PasswordError

roles = st.sets(st.sampled_from(list(Role)), max_size=4)
tenants = st.sampled_from([DEFAULT_TENANT, "customer"])


@given(given=roles, held=roles, giver=roles, tenant=tenants, other_admins=st.integers(0, 2))
def test_nobody_gives_or_takes_a_right_that_he_has_not(
    given: set[Role], held: set[Role], giver: set[Role], tenant: str, other_admins: int
) -> None:
    own = domain.rights_of(giver)
    try:
        domain.check_roles(given, held, own, tenant, other_admins=other_admins)
    except RoleError:
        return
    assert given
    assert domain.rights_of(given | held) <= own
    assert tenant == DEFAULT_TENANT or given <= set(PLANT_ROLES)
    assert other_admins or Role.TENANT_ADMIN in given or Role.TENANT_ADMIN not in held


def test_each_plant_role_may_do_all_that_the_one_before_it_may() -> None:
    for lower, higher in pairwise(PLANT_ROLES):
        assert RIGHTS[lower] < RIGHTS[higher]
    assert RIGHTS[Role.PLATFORM_ADMIN] == set(Right)
    assert all(Right.READ not in RIGHTS[role] for role in Role if role not in (*PLANT_ROLES, Role.PLATFORM_ADMIN))


@given(st.integers(0, 10_000))
def test_a_lock_grows_with_failures_and_never_lasts_for_ever(failures: int) -> None:
    lock_ms = domain.locked_for_ms(failures)
    assert domain.locked_for_ms(failures + 1) >= lock_ms
    assert lock_ms == 0 if failures <= domain.FREE_FAILURES else domain.LOCK_MS_MIN <= lock_ms <= domain.LOCK_MS_MAX


@given(st.text(max_size=200), st.text(max_size=30))
def test_a_password_that_is_taken_has_a_length_and_does_not_hold_the_login(password: str, login: str) -> None:
    try:
        passwords.check(password, login)
    except PasswordError:
        return
    assert passwords.CHARACTERS_MIN <= len(password) <= passwords.CHARACTERS_MAX
    name = login.partition("@")[0].casefold()
    assert len(name) < 4 or name not in password.casefold()


@given(st.binary(max_size=80).map(lambda raw: raw.decode("latin-1")))
def test_only_a_whole_key_is_taken_for_one(text: str) -> None:
    assert tokens.parse_api_key(text) is None
    key_id, secret = "0" * 32, tokens.new_token()
    whole = tokens.api_key(key_id, secret)
    assert tokens.parse_api_key(whole) == (key_id, secret)
    assert not text or tokens.parse_api_key(whole + text) is None


def test_tokens_differ_and_their_hash_tells_nothing_of_them() -> None:
    made = {tokens.new_token() for _ in range(100)}
    assert len(made) == 100
    token = made.pop()
    assert token not in tokens.hash_of(token)
    assert tokens.csrf_secret_of(token) != tokens.hash_of(token)
