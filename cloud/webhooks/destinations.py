"""Which network addresses a webhook may reach: public ones, unless its endpoint allows private ones."""

import ipaddress
import socket

import anyio

from kit.errors import ZhisanError

RESOLVE_S_MAX = 5.0
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class DestinationRefusedError(ZhisanError):
    """The address of an endpoint may not be called, or cannot be found."""

    def __init__(self, host: str, reason: str) -> None:
        super().__init__(f"{host} is not called: {reason}")
        self.host = host
        self.reason = reason


async def resolve(host: str, port: int, *, allow_private: bool) -> str:
    """An address of `host` to connect to, after every address of it has been looked at.

    The caller connects to the returned address, not to the name: asked again, the name could give another one.

    Raises:
        DestinationRefusedError: the name has no address, or one that may not be called.
    """
    try:
        with anyio.fail_after(RESOLVE_S_MAX):
            found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except TimeoutError as error:
        raise DestinationRefusedError(host, f"its name was not resolved within {RESOLVE_S_MAX:g} s") from error
    except (OSError, UnicodeError) as error:
        raise DestinationRefusedError(host, "its name has no address") from error
    addresses = [ipaddress.ip_address(entry[4][0].partition("%")[0]) for entry in found]
    for address in addresses:
        if not may_call(address, allow_private=allow_private):
            raise DestinationRefusedError(host, f"{address} is not a public address")
    if not addresses:
        raise DestinationRefusedError(host, "its name has no address")
    return str(addresses[0])


def may_call(address: Address, *, allow_private: bool) -> bool:
    """Whether an address may be called; one wrapped in IPv6 is judged by what it wraps."""
    inner = _unwrapped(address)
    if inner in _METADATA or inner.is_multicast or inner.is_unspecified or inner.is_link_local:
        return False  # link-local: where clouds keep the credentials of their machines (169.254.169.254)
    if allow_private and (inner.is_loopback or (inner.is_private and not inner.is_reserved)):
        return True
    return inner.is_global and not inner.is_reserved


def _unwrapped(address: Address) -> Address:
    """The IPv4 address inside a mapped, 6to4 or NAT64 one, else the address."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


_METADATA = frozenset(map(ipaddress.ip_address, ("fd00:ec2::254", "100.100.100.200", "168.63.129.16")))
"""Where AWS, Alibaba and Azure answer their machines, beside the link-local address that most clouds use."""
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
