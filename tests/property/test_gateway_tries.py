"""Claims that are guessed: each network has its own tries, all together have an end, renewals are nobody's to block."""

from hypothesis import given
from hypothesis import strategies as st

from cloud.gateways.tries import CLAIMS_BURST, CLAIMS_PER_S, TRIES_BURST, TRIES_PER_S, Tries, network_of

addresses = st.ip_addresses().map(str)


@given(attacker=addresses, other=addresses, tries=st.integers(1, 3_000))
def test_one_network_blocks_no_other(attacker: str, other: str, tries: int) -> None:
    made = Tries()
    for _ in range(tries):
        made.claim(attacker, 0.0)
    if network_of(attacker) != network_of(other):
        assert made.claim(other, 0.0) == 0.0
    else:
        assert (made.claim(other, 0.0) > 0) == (tries >= TRIES_BURST)


def test_guessing_from_everywhere_is_bounded_and_renewals_go_on() -> None:
    made, seconds = Tries(), 10
    networks = [f"10.0.{number // 250}.{number % 250}" for number in range(1_000)]
    taken = sum(made.claim(address, float(second)) == 0.0 for second in range(seconds) for address in networks)
    assert taken <= CLAIMS_BURST + CLAIMS_PER_S * seconds
    assert made.claim("192.0.2.1", float(seconds - 1)) > 0
    assert made.renew("192.0.2.2", float(seconds - 1)) == 0.0


def test_one_line_with_all_its_addresses_of_ipv6_is_one_network() -> None:
    made = Tries()
    taken = sum(made.claim(f"2001:db8:0:1::{number:x}", 0.0) == 0.0 for number in range(1_000))
    assert taken == TRIES_BURST
    assert made.claim("2001:db8:0:2::1", 0.0) == 0.0
    assert made.claim("2001:db8:0:1::1", 1 / TRIES_PER_S) == 0.0


def test_an_ipv4_address_is_the_same_in_either_spelling() -> None:
    assert network_of("::ffff:192.0.2.1") == network_of("192.0.2.1") == "192.0.2.1"
    assert network_of("") == ""
    assert network_of("unknown") == "unknown"
