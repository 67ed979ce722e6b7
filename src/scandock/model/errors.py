"""Errors that carry a stable code, a sentence and a remedy."""

from __future__ import annotations

from typing import Final

OUTAGES: Final = {
    "catalog": "the catalog can't be used",
    "catalog_damaged": "the catalog is damaged",
    "catalog_older": "the catalog is of an older version, and its server runs",
    "disk_full": "the disk is full",
    "read_failed": "the disk can't be read or written",
    "scratch_failed": "the work folder can't be written to",
    "store_failed": "the system refuses to read or write files",
    "store_missing": "the data folder is not there",
    "store_other_filesystem": "the folders of DATA are not on one file system",
    "store_read_only": "the data folder can't be written to",
    "sync_failed": "the disk does not keep what is written",
}
"""Codes of faults of disk, rights and catalog: no import is to blame, and they pass once the machine is well.

With each, what the log says of it: the words of an error may quote names, these never do.
"""


class ScandockError(Exception):
    """Base of every error that a person may see.

    `code` is stable and documented in docs/codes.md, `message` is one sentence that names the thing,
    `remedy` says what to do about it (may be empty where the message already does).
    """

    def __init__(self, code: str, message: str, remedy: str = "") -> None:
        super().__init__(code, message, remedy)
        self.code = code
        self.message = _one_line(message)
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


def _one_line(message: str) -> str:
    """What libraries say in several lines (PostgreSQL's client does), as one sentence."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    ended = [line if line[-1] in ".,:;?!" else f"{line}." for line in lines[:-1]]
    told = " ".join([*ended, *lines[-1:]])
    return told[:-1] if ended and told.endswith("?.") else told


class BadInput(ScandockError):
    """The archive, or a part of it, can't be taken as it is: trying again changes nothing."""


class LimitExceeded(BadInput):
    """A limit counted over the whole upload: always refuses the whole, at whatever level it is met."""


class Fault(ScandockError):
    """A fault of the machine (disk, memory, database): the same input may succeed later."""

    @property
    def is_outage(self) -> bool:
        """Whether it is one of disk, rights or catalog, which is waited for and counts as no attempt."""
        return self.code in OUTAGES


class Usage(ScandockError):
    """The request is off: an unknown project, a bad option, a mapping that can't be read."""


class TokenLost(ScandockError):
    """Another process has taken over this import: whatever this one still does must not show."""
