"""Errors that carry a stable code, a sentence and a remedy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

OUTAGES: Final = {
    "catalog": "the catalog can't be used",
    "catalog_damaged": "the catalog is damaged",
    "catalog_older": "the catalog is of an older version, and its server runs",
    "disk_full": "the disk is full",
    "privacy_key": "the privacy key can't be used",
    "read_failed": "the disk can't be read or written",
    "scratch_failed": "the work folder can't be written to",
    "store_failed": "the system refuses to read or write files",
    "store_missing": "the data folder is not there",
    "store_other": "the bucket is that of another catalog",
    "store_other_filesystem": "the folders of DATA are not on one file system",
    "store_read_only": "the data folder can't be written to",
    "sync_failed": "the disk does not keep what is written",
}
"""Codes of faults of disk, rights and catalog: no import is to blame, and they pass once the machine is well.

With each, what the log says of it: the words of an error may quote names, these never do.
"""

PUBLIC: Final = {
    "catalog": "The server's catalog can't be used now.",
    "catalog_damaged": "The server's catalog is damaged.",
    "catalog_older": "The server is being upgraded.",
    "disk_full": "The server's disk is full.",
    "name_taken": "A folder that is unknown to the server is where the session has to go.",
    "privacy_key": "The server's privacy key can't be used.",
    "read_failed": "The server can't read the data from its disk.",
    "recovery_failed": "The import was lost, and the server could not clean up after it.",
    "scratch_failed": "The server can't write to its work folder.",
    "stage_taken": "Another process works on this import.",
    "store_failed": "The server can't read or write its files.",
    "store_missing": "The server's data folder is missing.",
    "store_other": "The server's files are those of another site.",
    "store_other_filesystem": "The server's data folder is divided among several disks.",
    "store_read_only": "The server can't write to its data folder.",
    "sync_failed": "The server's disk does not keep what is written to it.",
    "tree_damaged": "Files of the session are missing on the server.",
    "tree_missing": "The session's files are missing on the server.",
}
"""What people who upload read of a fault whose own sentence quotes paths or the system's words, by its code."""
PUBLIC_REMEDY: Final = "Try again later. If it happens again, tell an administrator of this server."
PUBLIC_REMEDIES: Final = {"disk_full": "Try again once an administrator of this server has freed space."}
"""What else than that there is to do, by code."""


class ScandockError(Exception):
    """Base of every error that a person may see.

    `code` is stable and documented in docs/codes.md, `message` is one sentence that names the thing,
    `remedy` says what to do about it (may be empty where the message already does). `STATUS` is what a request that
    ends by it is answered with.

    The kinds below are made with a code where an error of another process or server is told again. Every other error is
    of a class of its own (`Coded`, `Worded`).
    """

    STATUS: ClassVar[int] = 400
    quotes: bool = False
    """Of a fault: its sentence quotes paths or the system's words, so that people who upload read that of `PUBLIC`."""

    def __init__(self, code: str, message: str, remedy: str = "") -> None:
        super().__init__(code, message, remedy)
        self.code = code
        self.message = _one_line(message)
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()

    @property
    def public(self) -> tuple[str, str]:
        """Sentence and remedy for people who do not run the server: without paths of it, or a library's words."""
        return self.message, self.remedy

    @property
    def public_text(self) -> str:
        """Both in one."""
        return " ".join(self.public).strip()


def _one_line(message: str) -> str:
    """What libraries say in several lines (PostgreSQL's client does), as one sentence."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    ended = [line if line[-1] in ".,:;?!" else f"{line}." for line in lines[:-1]]
    text = " ".join([*ended, *lines[-1:]])
    return text[:-1] if ended and text.endswith("?.") else text


class BadInput(ScandockError):
    """The archive, or a part of it, can't be taken as it is: trying again changes nothing."""


class LimitExceeded(BadInput):
    """A limit counted over the whole upload: always refuses the whole, at whatever level it is met."""


class Fault(ScandockError):
    """A fault of the machine (disk, memory, database): the same input may succeed later."""

    STATUS: ClassVar[int] = 503

    @property
    def public(self) -> tuple[str, str]:
        if not self.quotes:
            return super().public
        return PUBLIC[self.code], PUBLIC_REMEDIES.get(self.code, PUBLIC_REMEDY)

    @property
    def is_outage(self) -> bool:
        """Whether it is one of disk, rights or catalog, which is waited for and counts as no attempt."""
        return self.code in OUTAGES


class Usage(ScandockError):
    """The request is off: an unknown project, a bad option, a mapping that can't be read."""


class Coded(ScandockError):
    """An error of a class of its own, which says all that is said of it; beside its kind, as in `(Coded, Fault)`.

    `SENTENCE` and `REMEDY` are templates of the arguments that the class is made with. Its row of docs/codes.md is made
    from `CODE`, `STATUS` and `MEANING` (scripts/codes.py); a code of receipts has no `MEANING` here, but a row in
    rules/receipt_codes.py or rules/notices.py. Several classes of one code, with sentences of their own, share a base
    that has these three. `ANSWERED` is false where no request is answered with it.
    """

    CODE: ClassVar[str]
    MEANING: ClassVar[str]
    SENTENCE: ClassVar[str]
    REMEDY: ClassVar[str] = ""
    ANSWERED: ClassVar[bool] = True

    def __init__(self) -> None:
        self._fill({})

    def _fill(self, values: Mapping[str, str | float]) -> None:
        """Make the sentences; called once, by the class's own `__init__`, with its arguments by their names."""
        super().__init__(self.CODE, self.SENTENCE.format_map(values), self.REMEDY.format_map(values))

    def __reduce__(self) -> tuple[object, ...]:
        """How it is copied and pickled: with its sentences, as its class may take other arguments than they are."""
        return _copied, (type(self), self.code, self.message, self.remedy), self.__dict__


def _copied(error: type[Coded], code: str, message: str, remedy: str) -> Coded:
    made = error.__new__(error)
    ScandockError.__init__(made, code, message, remedy)
    return made


class Worded(Coded):
    """An error whose code stands for many situations: each says its own sentence where it is raised."""

    def __init__(self, message: str, remedy: str | None = None, *, quotes: bool | None = None) -> None:
        ScandockError.__init__(self, self.CODE, message, self.REMEDY if remedy is None else remedy)
        if quotes is not None:
            self.quotes = quotes


class CodedUsage(Coded, Usage):
    """A request that is off, with a class of its own."""


class TokenLost(Worded):
    """Another process has taken over this import: whatever this one still does must not show."""

    CODE = "token_lost"
    MEANING = "Another process has taken over this import; this one stops without a trace."
