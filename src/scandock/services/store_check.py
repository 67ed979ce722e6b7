"""Whether files get where they belong on this host: what `/readyz` tells, and a worker asks before it takes imports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scandock.catalog.privacy_texts import is_privacy_in_force
from scandock.publishing.areas import make_areas
from scandock.services.logs import log
from scandock.services.privacy_key import load_keys

if TYPE_CHECKING:
    from scandock.catalog.engine import Catalog
    from scandock.services.settings import Settings
    from scandock.store.port import Store


def check_store(catalog: Catalog, store: Store, settings: Settings) -> str:
    """Raise Fault where they do not, and `privacy_key` where this host lacks the key that the site's policy needs.

    A folder of the store that is missing is made anew, and the log says so. Not one in which something was placed: that
    it is gone is what is the matter. Gives nothing, as checks of `/readyz` do of what is well.
    """
    for folder in [*store.try_writing(), *make_areas(catalog, store)]:
        log().warning("folder_made", folder=folder)
    store.reserve(0, files=1, min_free=settings.min_free_bytes)
    with catalog.read() as connection:
        if is_privacy_in_force(connection):
            load_keys(connection, store.path, settings)
    return ""
