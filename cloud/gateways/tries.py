"""How often claims and renewals may be tried: by network, so that nobody blocks another; claims also in all. Pure."""

import ipaddress
from typing import Final

from cloud.core.rate_limit import RateLimit

TRIES_PER_S, TRIES_BURST = 0.2, 10
"""Claims and renewals from one network; a plant's gateways behind one router come one after the other."""
CLAIMS_PER_S, CLAIMS_BURST = 20.0, 200
"""Claims from everywhere: a hundred networks must guess at once before somebody else waits."""
NETWORK_BITS_V6: Final = 64
"""One line is given so many addresses of IPv6 that to count each by itself would count nothing."""


class Tries:
    """Counts both; a renewal is signed with a certificate's key, so only claims can be guessed at."""

    def __init__(self) -> None:
        self._by_network = RateLimit(per_s=TRIES_PER_S, burst=TRIES_BURST)
        self._claims = RateLimit(per_s=CLAIMS_PER_S, burst=CLAIMS_BURST)

    def renew(self, address: str, now_s: float) -> float:
        """0.0 when this renewal may be tried, else the seconds until one may."""
        return self._by_network.take(network_of(address), now_s)

    def claim(self, address: str, now_s: float) -> float:
        """The same for a claim; what its network's limit refuses takes nothing from the others."""
        return self._by_network.take(network_of(address), now_s) or self._claims.take("", now_s)


def network_of(address: str) -> str:
    """What counts as one asker: an address of IPv4, a /64 of IPv6; a text that is neither, itself."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((int(ip), NETWORK_BITS_V6), strict=False))
