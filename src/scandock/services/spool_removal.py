"""The bytes of uploads that came to no import, or whose import is deleted: given up, where they are private at once."""

from __future__ import annotations

from typing import Final

from scandock.services.privacy_source import current_privacy
from scandock.store.port import Store

SWEEP_SECONDS: Final = 5.0


def discard_spool(store: Store, uuid: str) -> None:
    """Discard an upload's bytes: deleted in the background, but at once where less than everything may be known."""
    store.spool(uuid).discard()
    privacy = current_privacy()
    if privacy is not None and not privacy.at_door().is_open:
        store.sweep(SWEEP_SECONDS)
