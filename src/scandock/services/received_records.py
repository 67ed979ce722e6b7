"""What a receiver process tells the catalog of studies and associations, and what it is told of them.

Plain records, that the receiver process has without a database.
"""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Final

from scandock.model.dataclass import dataclass
from scandock.model.errors import Coded, Fault
from scandock.model.reception import AssociationOutcome

if TYPE_CHECKING:
    from scandock.model.incoming_upload import IncomingUpload
    from scandock.model.receivers import Receiver

HOST: Final = platform.node()
MAX_MESSAGE: Final = 2_000
"""Characters of what is told of an association."""


class ReceiverUnfit(Coded, Fault):
    """What a receiver takes can't go anywhere now."""

    CODE = "receiver_unfit"
    MEANING = (
        "A DICOM receiver takes nothing, as its project was deleted, or the account that it acts for is disabled or may"
        " not upload there."
    )
    SENTENCE = "The receiver {title} takes nothing: {why}."
    REMEDY = "Name another project or account for it."

    def __init__(self, title: str, why: str) -> None:
        self._fill({"title": title, "why": why})


class CallerGone(Exception):
    """Who asked for something has given it up: it is not done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySender:
    """Who sent the first object of a study."""

    calling: str
    called: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyProgress:
    """What has come of a study so far."""

    upload_id: int
    writer: str
    """Who has received it, as the row of its upload says unless another host has taken it over."""
    objects: int
    bytes: int
    """On disk."""
    rate: int
    """Bytes a second since the last look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftStudy:
    """A study whose receiver process has ended."""

    incoming: IncomingUpload
    receiver: Receiver | None
    """None where it was removed, or is set to import otherwise: nothing goes on with the study."""
    sender: StudySender
    owner: str
    """The process that has ended, as its row names it."""


@dataclass(slots=True, kw_only=True)
class AssociationLine:
    """An association, or a refusal, as it is to be told."""

    number: int
    """By which logs and pages call it; no other of this process has it."""
    receiver_id: int | None
    port: int
    called: str
    calling: str
    address: str
    security: str = ""
    outcome: AssociationOutcome
    message: str = ""
    begun: int
    """Unix milliseconds."""
    ended: int | None = None
    objects: int = 0
    bytes: int = 0
    failures: int = 0
    row: int | None = None
    """Its row, once it is known."""
    is_unsure: bool = False
    """It may have a row of which nobody was told."""

    @property
    def columns(self) -> dict[str, object]:
        return {
            "number": self.number,
            "receiver_id": self.receiver_id,
            "host": HOST,
            "port": self.port,
            "called": _clean(self.called, 16),
            "calling": _clean(self.calling, 16),
            "address": _clean(self.address, 64),
            "security": _clean(self.security, MAX_MESSAGE),
            "outcome": self.outcome,
            "message": _clean(self.message, MAX_MESSAGE),
            "begun": self.begun,
            "ended": self.ended,
            "objects": self.objects,
            "bytes": self.bytes,
            "failures": self.failures,
        }


def _clean(text: str, length: int) -> str:
    """What a peer sent, as any catalog takes it: PostgreSQL takes no NUL, nor what is no text."""
    return text[:length].replace("\0", "?").encode("utf-8", "replace").decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverListening:
    """Whether a receiver listens on this host, or why not."""

    receiver_id: int
    listening: bool
    message: str = ""


def unfit_reason(receiver: Receiver) -> str:
    """Why what a receiver takes could go nowhere; empty where it can."""
    if receiver.is_project_missing:
        return "its project was deleted"
    if receiver.account_disabled:
        return f"the account {receiver.account} is disabled"
    if not receiver.may_upload:
        return f"the account {receiver.account} may not upload to {receiver.project} any more"
    return ""
