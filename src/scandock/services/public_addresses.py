"""Which addresses are public: those that a stranger may have the server connect to.

An IPv6 address that stands for an IPv4 one is judged by that one, as a gateway on the way would go there: a hook at
`64:ff9b::7f00:1` is one at 127.0.0.1.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

_LAST_32: Final = tuple(
    map(
        IPv6Network,
        (
            "::/96",  # IPv4-compatible (RFC 4291, 2.5.5.1)
            "::ffff:0:0/96",  # IPv4-mapped (2.5.5.2)
            "::ffff:0:0:0/96",  # IPv4-translated (RFC 2765)
            "64:ff9b::/96",  # NAT64's well-known prefix (RFC 6052)
        ),
    )
)
_LOCAL_NAT64: Final = IPv6Network("64:ff9b:1::/48")
"""Of a network's own gateways (RFC 8215), whose prefix may have any of the lengths below."""
_6TO4: Final = IPv6Network("2002::/16")
_SHIFTS: Final = (48, 56, 64, 96)
"""Lengths of a prefix behind which the IPv4 address begins; bits 64 to 71 are left out (RFC 6052, 2.2)."""
_RESERVED: Final = IPv4Network("192.0.0.0/24")
"""For protocols (RFC 6890): single addresses of it are global by the registry, and none is anybody's receiver."""
_NO_HOST: Final = IPv4Network("0.0.0.0/8")
"""What a wrong length reads where there are zeros: no packet goes there."""


def is_public(text: str) -> bool:
    """Whether an address, as `socket.getaddrinfo` gives it, is reached over the Internet."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address):
        inside = list(_embedded_addresses(address))
        if inside:
            return all(map(_is_public, inside))
        if address.is_site_local:  # fec0::/10, which RFC 3879 gave up and networks still have
            return False
    return _is_public(address)


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    return address.is_global and not address.is_multicast and address not in _RESERVED


def is_public_host(host: str) -> bool:
    """Whether a URL's host may be public: a name that is looked up only later may, `localhost` and its like may not.

    What the system's resolver takes for an IPv4 address is one here too, as `127.1`, `0x7f000001` or `017700000001`.
    """
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):  # RFC 6761, 6.3
        return False
    try:
        return is_public(name)
    except ValueError:
        pass
    try:
        return is_public(socket.inet_ntoa(socket.inet_aton(name)))
    except (OSError, UnicodeError):
        return True


def _embedded_addresses(address: IPv6Address) -> Iterator[IPv4Address]:
    """The IPv4 addresses that an IPv6 one may stand for."""
    number = int(address)
    if any(address in network for network in _LAST_32):
        yield IPv4Address(number & 0xFFFFFFFF)
    elif address in _6TO4:
        yield IPv4Address(number >> 80 & 0xFFFFFFFF)
    elif address in _LOCAL_NAT64:
        candidates = [IPv4Address(_bits_after_prefix(number, length)) for length in _SHIFTS]
        yield from [candidate for candidate in candidates if candidate not in _NO_HOST] or candidates


def _bits_after_prefix(number: int, length: int) -> int:
    """The 32 bits behind a prefix of so many."""
    binary = f"{number:0128b}"
    bits = binary[length:] if length == 96 else binary[length:64] + binary[72:]
    return int(bits[:32], 2)
