"""How DICOM receivers take studies: the bounds of associations, and when a study is handed to its import."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from scandock.model.dataclass import dataclass
from scandock.model.limits import GIB

MAX_STUDY_OBJECTS: Final = 1_000_000
MAX_STUDY_BYTES: Final = 100 * GIB


SILENT_MS: Final = 40_000
"""After which nothing counts any more of what a host's receiver process has said: it says it again each 10 s."""


class CloseReason(StrEnum):
    """Why a study that was being received was handed to its import."""

    IDLE = "idle"
    """Nothing came for a while."""
    RELEASE = "release"
    """The last association that sent some of it was released."""
    LONG = "long"
    """It had been received for so long that what came is to be seen."""
    FULL = "full"
    """One object more would have been over a limit of uploads."""
    FAILED = "failed"
    """The disk failed: what was acknowledged is imported, the rest goes into another upload."""
    CHANGED = "changed"
    """Its receiver was removed or disabled, or is set to import otherwise: what comes later is another upload."""
    PERSON = "person"
    """A person closed it, or asked for its session."""
    STOP = "stop"
    """The server that received it was stopped."""


class StudyWish(StrEnum):
    """What a person wants done with a study that is being received."""

    CLOSE = "close"
    DISCARD = "discard"


class AssociationOutcome(StrEnum):
    """How an association stands or ended."""

    OPEN = "open"
    RELEASED = "released"
    ENDED = "ended"
    """Aborted, cut off or silent."""
    REJECTED = "rejected"
    FAILED = "failed"
    """The connection ended before there was an association."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceptionSettings:
    """What `Settings` says of receivers (`SCANDOCK_DICOM_...`); seconds and bytes."""

    idle_seconds: float
    release_seconds: float
    abort_seconds: float
    open_seconds: float
    associations: int
    associations_per_address: int
    object_bytes: int
    study_objects: int
    study_bytes: int
    directory_bytes: int
    max_pdu: int
    handshake_seconds: float
    request_seconds: float
    silence_seconds: float
    between_seconds: float
    min_free: int
    tls_certificate: str
    tls_key: str
    tls_client_ca: str
