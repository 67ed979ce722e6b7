"""Kinds of values that settings have, as pydantic checks them."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from scandock.services.byte_sizes import parse_bytes

_PATH: Final = re.compile(r"(/[A-Za-z0-9._~-]+)*")


def _bytes(value: object) -> object:
    """Byte counts may come as `500MB`; everything else is left to pydantic."""
    if not isinstance(value, str):
        return value
    try:
        return parse_bytes(value)
    except ValueError:
        raise ValueError("is no size; right is a number of bytes, or one with a unit: 500MB, 2GiB") from None


def _between_commas(value: object) -> object:
    if isinstance(value, str):
        return tuple(name for name in (part.strip() for part in value.split(",")) if name)
    return value


def _site(value: str) -> str:
    """An address of a site, without a slash at its end."""
    try:
        parts = urlsplit(value)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good or "@" in parts.netloc or parts.query or parts.fragment or not _PATH.fullmatch(parts.path.rstrip("/")):
        raise ValueError("is no address of a site; right is https://dock.example.org or https://example.org/dock")
    return value.rstrip("/")


def _path(value: str) -> str:
    if not _PATH.fullmatch(value.rstrip("/")):
        raise ValueError("is no path to serve under; right is /dock")
    return value.rstrip("/")


def _networks(names: tuple[str, ...]) -> tuple[str, ...]:
    if names == ("none",):
        return ()
    try:  # with what is behind the prefix left out: uvicorn takes a network as it is defined alone
        return tuple(str(ipaddress.ip_network(name, strict=False)) if "/" in name else _address(name) for name in names)
    except ValueError:
        raise ValueError("names no addresses; right is 127.0.0.1, 10.1.0.0/16 or none") from None


def _address(name: str) -> str:
    return str(ipaddress.ip_address(name))


def _folders(paths: tuple[str, ...]) -> tuple[str, ...]:
    if not all(path.startswith("/") and ".." not in path.split("/") and path.strip("/") for path in paths):
        raise ValueError("names no folder; right is /data/inbox, from the root on")
    return paths


Count = Annotated[int, Field(ge=1, le=2**53)]
Bytes = Annotated[int, BeforeValidator(_bytes), Field(ge=0, le=2**60)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_between_commas)]
"""Names with commas between."""
SiteUrl = Annotated[str, AfterValidator(_site)]
BasePath = Annotated[str, AfterValidator(_path)]
Networks = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_between_commas), AfterValidator(_networks)]
"""IP addresses and networks, or `none`."""
Folders = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_between_commas), AfterValidator(_folders)]
"""Absolute paths of folders, with commas between."""
