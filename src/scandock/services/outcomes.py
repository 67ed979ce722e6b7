"""What was done to a session, or would be: what every verb of the prearchive and the archive gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace

from scandock.model.dataclass import dataclass
from scandock.rules.notices import Notice


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was done to one session, or with a dry run what would be."""

    session: str
    action: str
    dry_run: bool
    before: str
    """Its URI when this was asked."""
    after: str | None
    """Its URI now; None where it is gone."""
    into: str | None = None
    """The UUID of the session that it has joined."""
    warnings: tuple[Notice, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    """Files and what becomes of them. Of a merge: new ones, duplicates, clashes, replaced ones."""
    says: str = ""
    """What the counts mean, for people: a sentence that holds before and after."""
    waits: bool = False
    """An import does it, and `after` is where the session is to go: it stands where it did until that has ended."""
    import_uuid: str = ""
    """That import, once it waits."""

    def with_import(self, uuid: str) -> Outcome:
        """The same, with the import that does it."""
        return replace(self, import_uuid=uuid)
