"""The level at which names of an import are shown: decided where it comes in, before a byte of it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scandock.rules.naming import list_named_projects
from scandock.rules.shown_names import ALL_SHOWN, ShownNames
from scandock.workers.privacy_source import current_privacy

if TYPE_CHECKING:
    from scandock.rules.import_request import ImportRequest
    from scandock.rules.privacy import SitePrivacy


def names_at_door(privacy: SitePrivacy | None, request: ImportRequest, archive_number: int = 1) -> ShownNames:
    """What may be shown of names by the projects that a request and its mapping name, or by all where none is."""
    if privacy is None:
        return ALL_SHOWN
    policy = privacy.at_door(list_named_projects(request))
    return ShownNames(
        level=policy.names, key=privacy.site.key, number=archive_number, hides_bytes=policy.changes_objects
    )


def show_archive(request: ImportRequest, archive: str, number: int) -> str:
    """What an archive of a command is called of which no import was made."""
    return names_at_door(current_privacy(), request, number).archive(archive)
