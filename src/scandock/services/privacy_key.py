"""The site's key, by which it hashes and seals: a file beside the catalog, or where the settings say.

A line of the file is a key, 64 hexadecimal digits; the last one hashes, all are looked up. The catalog knows the
fingerprint of each. A key is never replaced: without it nothing that was hashed would be known again.
"""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import field
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field
from sqlalchemy import Connection, insert, select

from scandock.access.principal import Principal, RequestInfo
from scandock.catalog.engine import AdvisoryLock, Catalog
from scandock.catalog.tables import privacy_key
from scandock.model.dataclass import dataclass
from scandock.model.json_records import JsonRecord, MaybeMoment
from scandock.model.private_files import PRIVATE_FILE
from scandock.rules.permissions import Action
from scandock.services import rights
from scandock.services.audit import AuditAction, record
from scandock.services.data_errors import PrivacyKeyNotMade, PrivacyKeyUnfit
from scandock.store.durability import disk_fault, replace_file, sync_folder

if TYPE_CHECKING:
    from scandock.services.settings import Settings

KEY_FILE: Final = "privacy.key"
KEY_BYTES: Final = 32
_MOST: Final = 64 * 1024
_LINE: Final = re.compile(r"[0-9A-Fa-f]{64}")


@dataclass(frozen=True, slots=True)
class PrivacyKeys:
    """The site's keys."""

    newest: bytes = field(repr=False)
    older: tuple[bytes, ...] = field(default=(), repr=False)

    @property
    def every(self) -> tuple[bytes, ...]:
        """All of them, the newest first."""
        return self.newest, *self.older


@dataclass(frozen=True, kw_only=True)
class PrivacyKeyRecord(JsonRecord):
    """A key as people may see it."""

    number: Annotated[int, Field(description="1 for the first")]
    fingerprint: Annotated[str, Field(description="SHA-256 of the key")]
    created: MaybeMoment
    is_newest: Annotated[bool, Field(description="Whether it is the one that hashes")]


def key_path(data: str, settings: Settings) -> str:
    """Where the keys are."""
    return settings.privacy_key_file or os.path.join(data, KEY_FILE)


def load_keys(connection: Connection, data: str, settings: Settings) -> PrivacyKeys:
    """The keys that the catalog knows. Fault `privacy_key` where the file lacks one; none is ever made here."""
    path = key_path(data, settings)
    known = _known_fingerprints(connection)
    if not known:
        raise PrivacyKeyNotMade(path)
    keys = _read_known(path, known)
    return PrivacyKeys(keys[-1], tuple(reversed(keys[:-1])))


def need_keys(catalog: Catalog, connection: Connection, data: str, settings: Settings) -> PrivacyKeys:
    """The keys, for who begins to need them: the first one is made where there is none. Within a transaction.

    A file that the settings name is not made here: it could be a place that is not mounted yet.
    """
    catalog.alone(connection, AdvisoryLock.ADD_PRIVACY_TEXT)
    if not _known_fingerprints(connection):
        path = key_path(data, settings)
        found = _read_keys(path) if os.path.lexists(path) else []
        if not found and settings.privacy_key_file:
            raise PrivacyKeyNotMade(path)
        _register(catalog, connection, found[0] if found else _append_key(path, []))
    return load_keys(connection, data, settings)


def add_key(
    catalog: Catalog,
    principal: Principal,
    data: str,
    settings: Settings,
    *,
    request: RequestInfo | None = None,
) -> list[PrivacyKeyRecord]:
    """Add a key, which hashes from now on; the others are looked up still. AccessDenied.

    A key that somebody wrote behind the known ones in the file is taken.
    """
    with catalog.write() as connection:
        rights.check(connection, principal, Action.SITE_ADMIN, None)
        catalog.alone(connection, AdvisoryLock.ADD_PRIVACY_TEXT)
        path = key_path(data, settings)
        known = _known_fingerprints(connection)
        keys = _read_known(path, known) if known else []
        waiting = _read_keys(path)[len(keys) :] if os.path.lexists(path) else []
        key = waiting[0] if waiting else _append_key(path, keys)
        _register(catalog, connection, key)
        details = {"fingerprint": fingerprint(key)}
        record(connection, principal, AuditAction.PRIVACY_KEY_ADD, "privacy", "key", request=request, details=details)
        return _list_keys(connection)


def list_keys(connection: Connection, principal: Principal) -> list[PrivacyKeyRecord]:
    """The fingerprints, oldest first. AccessDenied."""
    rights.check(connection, principal, Action.SITE_ADMIN, None)
    return _list_keys(connection)


def fingerprint(key: bytes) -> str:
    """By what the catalog knows a key."""
    return sha256(key).hexdigest()


def write_keys(path: str, keys: list[bytes]) -> None:
    """Write the file, whole or not at all, so that no other account of the machine reads it. Fault of the disk."""
    content = "".join(f"{key.hex()}\n" for key in keys).encode("ascii")
    folder, name = os.path.split(os.path.abspath(path))
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            replace_file(name, content, fd, mode=PRIVATE_FILE)
            sync_folder(".", fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise disk_fault(error, f"writing {path}") from error


def _list_keys(connection: Connection) -> list[PrivacyKeyRecord]:
    rows = connection.execute(select(privacy_key).order_by(privacy_key.c.id)).all()
    return [
        PrivacyKeyRecord(number=n, fingerprint=row.fingerprint, created=row.created, is_newest=n == len(rows))
        for n, row in enumerate(rows, 1)
    ]


def _known_fingerprints(connection: Connection) -> list[str]:
    return [row.fingerprint for row in connection.execute(select(privacy_key).order_by(privacy_key.c.id))]


def _register(catalog: Catalog, connection: Connection, key: bytes) -> None:
    connection.execute(insert(privacy_key).values(fingerprint=fingerprint(key), created=catalog.now()))


def _read_known(path: str, known: list[str]) -> list[bytes]:
    """The keys of the file that the catalog knows; what stands behind them is not in use yet."""
    keys = _read_keys(path)[: len(known)]
    if [fingerprint(key) for key in keys] != known:
        raise PrivacyKeyUnfit(path, "it has not the keys that the site hashes by")
    return keys


def _read_keys(path: str) -> list[bytes]:
    try:
        with open(path, "rb") as file:
            text = file.read(_MOST).decode("ascii", "replace")
    except OSError as error:
        raise PrivacyKeyUnfit(path, f"it can't be read: {error.strerror}") from error
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not all(_LINE.fullmatch(line) for line in lines):
        raise PrivacyKeyUnfit(path, "a line of it is not 64 hexadecimal digits")
    return [bytes.fromhex(line) for line in lines]


def _append_key(path: str, before: list[bytes]) -> bytes:
    """Write the file with one key more."""
    key = secrets.token_bytes(KEY_BYTES)
    write_keys(path, [*before, key])
    return key
