"""What a site and its projects let be known, and have done to objects before they are stored: as it is this moment.

It is asked of the catalog each time, since what is set holds for what comes from then on. Whoever embeds Scandock, and
its tests, may give another by `use_privacy`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from scandock.services.data_errors import PrivacyKeyUnfit

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from scandock.catalog.engine import Catalog
    from scandock.rules.privacy import SitePrivacy
    from scandock.services.settings import Settings

_PLACE: Final = "scandock_privacy"
_given: SitePrivacy | None = None


class _Place(NamedTuple):
    """Where the key of a catalog is found."""

    data: str
    settings: Settings


def place_privacy(catalog: Catalog, data: str, settings: Settings) -> None:
    """Say of a catalog of which data folder and settings it is, as the site's key lies beside it."""
    catalog.engine.update_execution_options(**{_PLACE: _Place(data, settings)})


def current_privacy(connection: Connection) -> SitePrivacy | None:
    """What is in force; None where neither the site nor a project says anything.

    Fault `privacy_key` where something is, and the site's key is not there.
    """
    if _given is not None:
        return _given
    from scandock.catalog.privacy_texts import is_privacy_in_force  # SQLAlchemy: readers start before it is loaded

    if not is_privacy_in_force(connection):
        return None
    place: _Place = connection.get_execution_options()[_PLACE]  # KeyError: nobody may go on as if nothing were in force
    from scandock.services.privacy_in_force import load_privacy

    return load_privacy(connection, place.data, place.settings)


def usable_privacy(connection: Connection) -> SitePrivacy | None:
    """What is in force, for whoever only compares by it; None too where the site's key is not there."""
    with suppress(PrivacyKeyUnfit):
        return current_privacy(connection)
    return None


def given_to_process() -> SitePrivacy | None:
    """What this process goes by, whatever a catalog says; None where it was given nothing."""
    return _given


@contextmanager
def use_privacy(privacy: SitePrivacy) -> Iterator[None]:
    """Let this process go by `privacy` within the context, whatever a catalog says."""
    global _given  # noqa: PLW0603  one for the process, as imports may be started from any thread of it
    before, _given = _given, privacy
    try:
        yield
    finally:
        _given = before
