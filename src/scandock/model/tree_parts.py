"""Of what the path of a published tree is made: the catalog's records give the parts, `store.paths` makes the path."""

from __future__ import annotations

from typing import NamedTuple


class TreeParts(NamedTuple):
    """A session of the archive or the prearchive, or the resources that a project or a subject has of its own."""

    area: str
    """`archive`, `prearchive` or `resources`."""
    project: str
    timestamp: str
    """Empty outside the prearchive."""
    session: str
    """The session's label; in the resources the key: `project`, or a subject's UUID."""
