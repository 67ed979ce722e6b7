"""Addresses are judged by where a connection to them goes: one that stands for an IPv4 address, by that one."""

from __future__ import annotations

import ipaddress

import pytest

from scandock.services.public_addresses import is_public, is_public_host


def nat64(address: str, length: int) -> str:
    """How a gateway writes an IPv4 address behind a prefix of 64:ff9b:1::/48 with this length (RFC 6052, 2.2)."""
    bits = f"{int(ipaddress.ip_address('64:ff9b:1::')):0128b}"[:length]
    inner = f"{int(ipaddress.ip_address(address)):032b}"
    if length < 96:
        before = 64 - length
        bits += inner[:before] + "0" * 8 + inner[before:]
    else:
        bits += inner
    return str(ipaddress.ip_address(int(bits.ljust(128, "0"), 2)))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "100.64.0.1", "169.254.169.254", "192.168.1.1", "0.0.0.0", "224.0.0.1",
        "255.255.255.255", "192.0.0.8", "192.0.0.9", "192.0.0.170",
        "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1",
        "fec0::1", "feff::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1",
        "::127.0.0.1", "::10.0.0.1", "::a9fe:a9fe",
        "::ffff:0:7f00:1",
        "64:ff9b::7f00:1", "64:ff9b::10.0.0.1", "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::1", "2002:a00:1::", "2002:c0a8:101:1::5",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",  # Teredo
        "64:ff9b:1::", *(nat64(inner, length) for inner in ("127.0.0.1", "10.0.0.1") for length in (48, 56, 64, 96)),
    ],
)  # fmt: skip
def test_networks_of_the_server_s_own_are_none_of_the_public(address):
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8", "::8.8.8.8", "64:ff9b::8.8.8.8",
        "2002:808:808::1", *(nat64("93.184.216.34", length) for length in (48, 56, 64, 96)),
    ],
)  # fmt: skip
def test_public_ones_are_public_however_they_are_written(address):
    assert is_public(address)


@pytest.mark.parametrize(
    "host",
    [
        "localhost", "LOCALHOST.", "hooks.localhost", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7F.1",
        "017700000001", "0177.0.0.1", "0", "10.1", "127.0.0.1.", "::1", "fe80::1%eth0",
    ],
)  # fmt: skip
def test_no_form_of_an_inner_address_is_a_public_host(host):
    assert not is_public_host(host)


@pytest.mark.parametrize(
    "host", ["example.org", "localhost.example.org", "mylocalhost", "8.8.8.8", "134744072", "0x8080808", "1e100.net"]
)
def test_names_and_public_addresses_may_be_public_hosts(host):
    assert is_public_host(host)
