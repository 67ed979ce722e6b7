"""The bytes of uploads that came to no import, or whose import is deleted: given up, where they are private at once."""

from __future__ import annotations

from typing import Final

from scandock.catalog.engine import Catalog
from scandock.services.data_errors import PrivacyKeyUnfit
from scandock.services.privacy_source import current_privacy
from scandock.store.port import Store

SWEEP_SECONDS: Final = 5.0


def discard_spool(catalog: Catalog, store: Store, uuid: str) -> None:
    """Discard an upload's bytes: deleted in the background, but at once where less than everything may be known."""
    is_private = is_anything_private(catalog)
    store.spool(uuid).discard(erase=is_private)
    if is_private:
        store.sweep(SWEEP_SECONDS)


def is_anything_private(catalog: Catalog) -> bool:
    """Whether less than everything may be known anywhere; so it is where nobody can tell."""
    try:
        with catalog.read() as connection:
            privacy = current_privacy(connection)
    except PrivacyKeyUnfit:
        return True
    return privacy is not None and not privacy.at_door().is_open
