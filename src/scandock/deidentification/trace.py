"""How it went with one object: what `scrub` tells to whoever remembers it for later ones (see `alike`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scandock.deidentification.data_set import Change, DicomObject
    from scandock.deidentification.profile.identity import Identity
    from scandock.deidentification.walking import Walked


class Trace:
    """Notes on one object. It keeps the object's bytes, so it lasts no longer than these."""

    __slots__ = ("identity", "is_plain", "obj", "reads", "scripted", "written")

    def __init__(self) -> None:
        self.obj: DicomObject | None = None
        self.reads: set[int] = set()
        """Of which elements values or items were asked for up to the last script's end, meta information included."""
        self.scripted: Mapping[int, Change | None] = {}
        """What scripts made of elements, meta information included."""
        self.identity: Identity | None = None
        """What is looked for in what was written; None without a profile."""
        self.is_plain = False
        """Whether it was read by the walker alone, and none of its pixels were altered."""
        self.written: Walked | None = None
        """The data set as the verification has walked it, if it came so far."""

    def begin(self, obj: DicomObject) -> None:
        """The object was parsed."""
        self.obj = obj
        self.is_plain = not obj.data.changes and not (obj.meta is not None and obj.meta.changes)
        obj.data.reads = self.reads
        if obj.meta is not None:
            obj.meta.reads = self.reads

    def end_scripts(self, obj: DicomObject, identity: Identity | None, *, is_plain: bool) -> None:
        """Scripts have run; what follows is the same for all objects, element by element."""
        self.is_plain = self.is_plain and is_plain
        self.identity = identity
        self.scripted = dict(obj.data.changes)
        obj.data.reads = None
        if obj.meta is not None:
            self.scripted |= obj.meta.changes
            obj.meta.reads = None
