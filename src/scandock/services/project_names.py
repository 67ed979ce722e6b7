"""The rule that every way of naming a project goes by: no id, title, secondary ID or alias is another project's.

XNAT's own rule, in any case of letters. It holds where somebody sets a name: projects of earlier versions that share
one keep it, and may be saved again with it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from sqlalchemy import Connection

from scandock.catalog.project_names import is_taken
from scandock.services.project_errors import AliasTaken, TitleTaken

MAX_SHOWN: Final = 80
"""Characters of a name that a message repeats."""


class NameKind(StrEnum):
    """What a name is to be of its project, in words for people."""

    ID = "id"
    TITLE = "title"
    SECONDARY_ID = "secondary ID"
    ALIAS = "alias"


_ERRORS: Final = {NameKind.ID: AliasTaken, NameKind.ALIAS: AliasTaken}
"""Of the others it is `TitleTaken`."""


def check_name_free(connection: Connection, kind: NameKind, name: str, *, project_id: int | None) -> None:
    """Raise Usage `alias_taken`, `title_taken` where a name is another project's than that of `project_id`.

    The message says neither whose name it is nor what it is there: who asks may not see that project.
    """
    if is_taken(connection, name, project_id=project_id):
        raise _ERRORS.get(kind, TitleTaken)(
            f"The {kind} {name.strip()[:MAX_SHOWN]!r} is taken: it is the id, the title, the secondary ID or an alias"
            " of another project.",
            f"Choose another {kind}.",
        )
