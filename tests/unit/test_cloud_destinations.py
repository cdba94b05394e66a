"""Which addresses a webhook may reach."""

import ipaddress

import pytest

from cloud.webhooks.destinations import may_call

PUBLIC = ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]
PRIVATE = [
    "127.0.0.1",
    "::1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.0.1",
    "fd00::1",
    "::ffff:10.0.0.1",
    "64:ff9b::10.0.0.1",
]
NEVER = [
    "fd00:ec2::254",
    "100.100.100.200",
    "168.63.129.16",
    "::ffff:100.100.100.200",
    "0.0.0.0",
    "::",
    "169.254.169.254",
    "fe80::1",
    "224.0.0.1",
    "ff02::1",
    "2002:a9fe:a9fe::",
    "255.255.255.255",
]


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_may_be_called(text: str) -> None:
    assert may_call(ipaddress.ip_address(text), allow_private=False)


@pytest.mark.parametrize("text", PRIVATE)
def test_private_addresses_only_when_allowed(text: str) -> None:
    address = ipaddress.ip_address(text)
    assert not may_call(address, allow_private=False)
    assert may_call(address, allow_private=True)


@pytest.mark.parametrize("text", NEVER)
def test_some_addresses_never(text: str) -> None:
    assert not may_call(ipaddress.ip_address(text), allow_private=False)
    assert not may_call(ipaddress.ip_address(text), allow_private=True)
