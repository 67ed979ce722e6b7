"""What is wrong with a script or a lookup table, and why an object fails in one. None quotes a value of a header."""

from __future__ import annotations

from scandock.deidentification.errors import ScrubError
from scandock.model.errors import CodedUsage


class ScriptRefused(CodedUsage):
    """A script that isn't run at all: it can't be read, or has a statement that may not stand in one."""

    CODE = "script_refused"
    MEANING = (
        "A de-identification script can't be read; the message names line and column. Nothing was read or changed."
    )
    SENTENCE = "{name}, line {line}, column {column}: {what}."
    REMEDY = "{remedy}"

    def __init__(self, name: str, line: int, column: int, what: str, remedy: str = "") -> None:
        self.line = line
        self.column = column
        self._fill({"name": name, "line": line, "column": column, "what": what, "remedy": remedy})


class LookupTableRefused(CodedUsage):
    """A lookup table with a line that is none of it."""

    CODE = "lookup_refused"
    MEANING = "A line of a lookup table can't be read. Nothing was read or changed."
    SENTENCE = "{name}, line {line} {what}."
    REMEDY = "A line is type/key = value; lines that begin with // are comments."

    def __init__(self, name: str, line: int, what: str) -> None:
        self.line = line
        self._fill({"name": name, "line": line, "what": what})


class ScriptFailed(ScrubError):
    """A statement that can't be run on this object."""

    CODE = "deid_script"
    MEANING = "A statement of a script fails on the object; the message names script, line and path."


class PixelsUnalterable(ScrubError):
    """Pixels that a script hides and that can't be altered."""

    CODE = "deid_pixels"
    MEANING = "A script hides an area of the image, and the pixels can't be altered. Nothing of the object is written."


class ScriptTimeout(ScrubError):
    """Scripts that take too long on one object."""

    CODE = "deid_timeout"
    MEANING = "The scripts take longer than 2 seconds on one object."
