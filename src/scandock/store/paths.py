"""Names of trees and of the files in them: the only place that makes a path from a label.

A *name* is where a published tree stands under DATA: `archive/{project}/{session}`,
`prearchive/{project}/{yyyyMMdd_HHmmssSSS}/{session}` (design.md "On disk"; xnat-behaviour.md 5.1), or
`resources/{project}/{key}` of what a project (`project`) or a subject (its UUID) has of its own.
A *relpath* is a file or folder inside a tree, pieces joined by `/`. Whatever isn't made of the characters allowed here
raises ValueError: nothing from a header or an entry name becomes a path piece unchecked.
"""

from __future__ import annotations

from typing import Final, NamedTuple

ARCHIVE: Final = "archive"
PREARCHIVE: Final = "prearchive"
RESOURCES: Final = "resources"
AREAS: Final = (ARCHIVE, PREARCHIVE, RESOURCES)

MAX_LABEL: Final = 128
"""Characters of a label; the rules cut at 64, suffixes that tell two apart come on top."""
MAX_PIECE_BYTES: Final = 255
MAX_PATH_BYTES: Final = 1024
"""Of a relpath in UTF-8: with DATA and the name before it, well under the 4,096 that the system takes."""
MAX_LEVELS: Final = 64

_DIGITS: Final = frozenset("0123456789")
_LABEL: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
_SCAN: Final = _LABEL | {"."}


class Place(NamedTuple):
    """A name taken apart; `timestamp` is None outside the prearchive, `session` a shelf's key in the resources."""

    area: str
    project: str
    timestamp: str | None
    session: str


def label(text: str) -> str:
    """`text` if it is a session, resource, upload or token: 1 to 128 of [A-Za-z0-9_-]; else ValueError."""
    if not text or len(text) > MAX_LABEL or not _LABEL.issuperset(text):
        raise ValueError(f"not a label: {text[:200]!r}")
    return text


def project_name(text: str) -> str:
    """`text` if it is a project: a label, and behind it, of a deleted one, `~` and its number; else ValueError."""
    name, mark, number = text.partition("~")
    if mark and not (number and _DIGITS.issuperset(number)):
        raise ValueError(f"not a project: {text[:200]!r}")
    return label(name) + mark + number


def scan_id(text: str) -> str:
    """`text` if it is a scan id: a label that may hold dots, but doesn't begin with one; else ValueError."""
    if not text or len(text) > MAX_LABEL or text[0] == "." or not _SCAN.issuperset(text):
        raise ValueError(f"not a scan id: {text[:200]!r}")
    return text


def timestamp(text: str) -> str:
    """`text` if it is the prearchive's yyyyMMdd_HHmmssSSS; else ValueError. Clients that name one may leave the
    milliseconds out, or a part of them.
    """
    if not 15 <= len(text) <= 18 or text[8] != "_" or not _DIGITS.issuperset(text[:8] + text[9:]):
        raise ValueError(f"not a prearchive timestamp: {text[:200]!r}")
    return text


def archive(project: str, session: str) -> str:
    """Name of an archived session."""
    return f"{ARCHIVE}/{project_name(project)}/{label(session)}"


def prearchive(project: str, stamp: str, session: str) -> str:
    """Name of a prearchive session."""
    return f"{PREARCHIVE}/{project_name(project)}/{timestamp(stamp)}/{label(session)}"


def resources(project: str, key: str) -> str:
    """Name of what a project or a subject has of its own."""
    return f"{RESOURCES}/{project_name(project)}/{label(key)}"


def parse(name: str) -> Place:
    """The parts of a name; ValueError where it isn't one, so that `parse` is the check as well."""
    match name.split("/"):
        case ["archive", project, session]:
            return Place(ARCHIVE, project_name(project), None, label(session))
        case ["prearchive", project, stamp, session]:
            return Place(PREARCHIVE, project_name(project), timestamp(stamp), label(session))
        case ["resources", project, key]:
            return Place(RESOURCES, project_name(project), None, label(key))
    raise ValueError(f"not the name of a tree: {name[:200]!r}")


def scan_file(scan: str, resource: str, file: str) -> str:
    """Relpath of a scan's file; `file` is one piece."""
    return f"scans/{scan_id(scan)}/resources/{label(resource)}/files/{piece(file)}"


def session_file(resource: str, path: str) -> str:
    """Relpath of a file in one of the session's own resources; `path` may have folders."""
    return relpath(f"resources/{label(resource)}/files/{path}")


def piece(text: str) -> str:
    """`text` if it can stand as one file or folder name; else ValueError.

    Refused: empty, `.`, `..`, slash, backslash, NUL and other controls, more than 255 bytes, what isn't UTF-8.
    """
    if _SCAN.issuperset(text) and 0 < len(text) <= MAX_PIECE_BYTES and text[0] != ".":
        return text  # nearly every file: one set test
    if text in {"", ".", ".."} or any(c in "/\\\x7f" or c < " " for c in text):
        raise ValueError(f"not a file name: {text[:200]!r}")
    if len(text.encode("utf-8")) > MAX_PIECE_BYTES:  # lone surrogates raise UnicodeEncodeError, a ValueError
        raise ValueError(f"file name over {MAX_PIECE_BYTES} bytes: {text[:60]!r}...")
    return text


def split(rel: str) -> tuple[str, str]:
    """Folder ("" at the top) and checked last piece of a relpath; the folder is checked by whoever opens it."""
    folder, slash, name = rel.rpartition("/")
    if slash and not folder:
        raise ValueError(f"not a relative path: {rel[:200]!r}")
    return folder, piece(name)


def relpath(text: str) -> str:
    """`text` if each of its pieces can stand and it isn't too long or deep; else ValueError."""
    pieces = text.split("/")
    for one in pieces:
        piece(one)
    if len(pieces) > MAX_LEVELS or len(text.encode("utf-8")) > MAX_PATH_BYTES:
        raise ValueError(f"path over {MAX_LEVELS} levels or {MAX_PATH_BYTES} bytes: {text[:60]!r}...")
    return text
