"""DATA's folders, made where they are missing: by whoever opens it, before its catalog is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scandock.services.settings import Settings
    from scandock.store.port import Store


def prepare_data(store: Store, settings: Settings) -> None:
    """Make DATA and its folders, but for those of what was placed: `publishing.areas` knows whether that may be.

    Usage `data_folder_other` before anything is made in a folder that the database of the settings does not belong to:
    a slip in a path leaves nothing there. Fault where that database can't be asked.
    """
    if settings.database_url is not None and settings.store is None and not store.is_prepared():
        from scandock.services.data_folders import (
            check_database_folder,  # SQLAlchemy: readers start before it is loaded
        )

        check_database_folder(settings.database_url, store.path)
    store.prepare(stored=False)
