"""What a run of scripts on one object works with: the object, variables, the site's key, the time that is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Final

from scandock.deidentification.script.errors import ScriptFailed, ScriptTimeout
from scandock.deidentification.script.lookup_table import LookupTable
from scandock.deidentification.script.syntax import Path
from scandock.model.dataclass import dataclass
from scandock.model.tags import PIXEL_DATA
from scandock.rules.stored_uids import NO_UIDS, StoredUids

if TYPE_CHECKING:
    from scandock.deidentification.data_set import DataSet, DicomObject
    from scandock.deidentification.pixel_areas import PixelDecoder

MOST_SECONDS: Final = 2.0
"""The time that all scripts of one object have."""
MOST_TEXT: Final = 1 << 20
"""Characters of a text that a script makes."""
MOST_LISTED: Final = 10_000
"""Values of a list."""
_OPAQUE: Final = frozenset({"SQ", "UN"})

Listed = tuple["str | Path | None", ...]
Result = str | None | Listed
"""What a value is when it is reached: a text, nothing (of an absent element), or a list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptContext:
    """What scripts are given beside the object.

    `variables` are the given ones: project, subject and session as far as they are known. `rejects` is false where
    `reject` has no effect. `stored_uids` stand for others already: functions that hash UIDs give them back. `echo` is
    told what `echo` says; nobody is where it is None. `ran` is told of each statement of the outermost level that was
    run: the object, the script's name and the line. `decode_pixels` is None where compressed pixels can't be altered;
    `has_pixels` is false of headers whose pixels are out of reach, as ECAT's.
    """

    key: bytes = field(repr=False)
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    lookups: LookupTable = field(default_factory=LookupTable, repr=False)
    stored_uids: StoredUids = NO_UIDS
    rejects: bool = True
    echo: Callable[[str | None], None] | None = None
    ran: Callable[[DicomObject, str, int], None] | None = None
    decode_pixels: PixelDecoder | None = None
    has_pixels: bool = True
    clock: Callable[[], float] = time.monotonic


class RejectedError(Exception):
    """The object is left out on purpose."""


class Run:
    """One run on one object."""

    __slots__ = ("clock", "context", "data", "deadline", "meta", "object", "pixels_altered", "variables")

    def __init__(self, obj: DicomObject, context: ScriptContext) -> None:
        self.object = obj
        self.data: DataSet = obj.data
        self.meta: DataSet | None = obj.meta
        self.context = context
        self.variables: dict[str, Result] = {}
        self.clock = context.clock
        self.deadline = self.clock() + MOST_SECONDS
        self.pixels_altered = False

    def begin_script(self) -> None:
        """Start with the given variables: what one script sets is not known to the next one."""
        self.variables = dict(self.context.variables)

    def check_time(self) -> None:
        """Raises ScriptTimeout where the object's time is over."""
        if self.clock() > self.deadline:
            raise ScriptTimeout(f"The scripts take longer than {MOST_SECONDS:g} seconds on this object")

    @property
    def tops(self) -> tuple[DataSet, ...]:
        """The meta information, as part of the data set for scripts, and the data set itself."""
        return (self.data,) if self.meta is None else (self.meta, self.data)

    def top(self, tag: int) -> DataSet | None:
        """The data set that an element of the outermost level belongs to; None where the object has none of that."""
        return self.meta if tag >> 16 == 2 else self.data


class Argument:
    """An argument of a function: the path that stands there, if one does, and what it is when it is reached."""

    __slots__ = ("evaluate", "path")

    def __init__(self, path: Path | None, evaluate: Callable[[Run], Result]) -> None:
        self.path = path
        self.evaluate = evaluate

    def text(self, run: Run) -> str | None:
        return as_text(self.evaluate(run))

    def present_text(self, run: Run, what: str) -> str:
        """The text; the object fails where there is none, as of an absent element."""
        text = self.text(run)
        if text is None:
            raise ScriptFailed(f"{what if self.path is None else self.path.text} has no value: guard it with isPresent")
        return text


def as_text(result: Result) -> str | None:
    if isinstance(result, tuple):
        raise ScriptFailed("a list stands where a value is needed")
    return result


def checked_length(text: str) -> str:
    """A text that a script made; the object fails where it is too long."""
    if len(text) > MOST_TEXT:
        raise ScriptFailed(f"a text becomes longer than {MOST_TEXT:,} characters")
    return text


def read_text(data_set: DataSet, tag: int) -> str | None:
    """The values of an element joined by backslashes, without padding; None where it is absent or a sequence."""
    if tag not in data_set:
        return None
    if tag in PIXEL_DATA:
        raise ScriptFailed("pixel data has no text")
    if data_set.vr(tag) in _OPAQUE and data_set.items(tag) is not None:
        return None
    text = data_set.text(tag)
    return text.rstrip("\0") if text else text


def write_text(data_set: DataSet, tag: int, text: str) -> None:
    """Make or replace an element; a sequence is made empty, whatever the text."""
    if tag in PIXEL_DATA:
        raise ScriptFailed("pixel data isn't set by scripts: use alterPixels")
    if tag in data_set and data_set.vr(tag) in _OPAQUE and data_set.items(tag) is not None:
        data_set.set_items(tag, [])
        return
    data_set.set_text(tag, text)
