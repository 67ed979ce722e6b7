"""What may be known of an upload: decided where it comes in, by the projects that it names."""

from __future__ import annotations

import hmac
import re
from collections.abc import Collection
from dataclasses import field
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Self

from scandock.catalog.sealed_texts import SEALED
from scandock.model.dataclass import dataclass
from scandock.model.errors import ScandockError
from scandock.rules.naming import list_destinations
from scandock.rules.shown_names import ALL_SHOWN, ShownNames
from scandock.services.data_catalog import has_catalog, open_data
from scandock.services.data_errors import PrivacyKeyUnfit
from scandock.services.privacy_source import current_privacy, given_to_process
from scandock.services.sealing import SealUnreadable, seal, unseal

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from scandock.rules.import_request import ImportRequest
    from scandock.rules.privacy import SitePrivacy
    from scandock.services.settings import Settings


_KEYED: Final = re.compile("keyed [0-9a-f]{64}")
"""An idempotency key that is a hash."""


def names_at_door(
    privacy: SitePrivacy | None, request: ImportRequest, archive_number: int = 1, *, has_uid_names: bool = False
) -> ShownNames:
    """What may be shown of names by the projects that an upload may go to.

    `has_uid_names`: whether the server itself has called the entries by the UIDs of their objects.
    """
    if privacy is None:
        return ALL_SHOWN
    policy = privacy.at_door(list_destinations(request))
    return ShownNames(
        level=policy.uid_names if has_uid_names else policy.names,
        key=privacy.site.key,
        number=archive_number,
        hides_bytes=policy.changes_objects,
        hides_archive=policy.names != "keep",
    )


def names_of_command(data: str | None, settings: Settings, request: ImportRequest, number: int) -> ShownNames:
    """What a command may show of the names of an archive of which no import was made: none where nobody can tell."""
    privacy = given_to_process()
    if privacy is None and data is not None and has_catalog(data, settings):
        try:
            with open_data(data, settings) as (catalog, _), catalog.read() as connection:
                privacy = current_privacy(connection)
        except ScandockError:
            return ShownNames(level="drop", number=number, hides_bytes=True)
    return names_at_door(privacy, request, number)


@dataclass(frozen=True, kw_only=True)
class ReceptionPrivacy:
    """How the row of an upload has what its client says of it."""

    names: ShownNames = ALL_SHOWN
    keys: tuple[bytes, ...] = field(default=(), repr=False)
    """The site's, the newest first."""
    seals: bool = False
    """Whether less may be known than everything."""

    @classmethod
    def at_door(cls, privacy: SitePrivacy | None, projects: Collection[str]) -> Self:
        """By the projects that an upload may go to, or by all where none is given."""
        if privacy is None:
            return cls()
        policy = privacy.at_door(projects)
        return cls(
            names=ShownNames(level=policy.names, key=privacy.site.key),
            keys=(privacy.site.key, *privacy.site.older_keys),
            seals=not policy.is_open,
        )

    def sealed(self, text: str) -> str:
        """A text as the row has it."""
        return seal(self.keys[0], text) if self.seals else text

    def unsealed(self, text: str) -> str:
        """The text of a row. Raises SealUnreadable."""
        return unseal(self.keys, text)

    def keyed(self, idempotency_key: str | None) -> str | None:
        """An idempotency key as the row has it, also from a row: often it is the archive's name."""
        if idempotency_key is None or not self.seals or _KEYED.fullmatch(idempotency_key):
            return idempotency_key
        return _hash_key(self.keys[0], idempotency_key)

    def every_keyed(self, idempotency_key: str) -> list[str]:
        """An idempotency key as rows may have it, by whichever key and policy they were made."""
        return [idempotency_key, *(_hash_key(key, idempotency_key) for key in self.keys)]

    def digest(self, digest: bytes) -> str:
        """The sha256 of the bytes of an upload as its row has it."""
        if not self.seals:
            return f"sha256 {digest.hex()}"
        return f"keyed {hmac.digest(self.keys[0], digest, sha256).hex()}"


def _hash_key(key: bytes, idempotency_key: str) -> str:
    text = idempotency_key.encode("utf-8", "surrogatepass")
    return f"keyed {hmac.digest(key, b'idempotency ' + text, sha256).hex()}"


def read_sealed(connection: Connection, text: str) -> str:
    """A text of a row that its own client asks for; "" where it can't be read any more."""
    if not text.startswith(SEALED):
        return text
    try:
        return ReceptionPrivacy.at_door(current_privacy(connection), ()).unsealed(text)
    except (SealUnreadable, PrivacyKeyUnfit):
        return ""
