"""Objects that a request brings to be stored (STOW-RS): which they are, by their first bytes, and what is amiss."""

from __future__ import annotations

import re
from dataclasses import replace
from enum import IntEnum
from typing import Final, Literal

from scandock.formats.dicom_header import read_header
from scandock.formats.errors import Unparseable
from scandock.model.dataclass import dataclass

FIRST_HEAD: Final = 64 * 1024
MAX_HEAD: Final = 4 * 1024 * 1024
"""Bytes of an object in which its three UIDs have to stand: before them are vendors' groups at most."""
_UNKNOWN_SIZE: Final = 1 << 50
_NAME: Final = re.compile(r"[0-9.]{1,64}")
_NONE: Final[frozenset[int]] = frozenset()


class FailureReason(IntEnum):
    """Why an object was not stored (PS3.18 Table 10.5.3-2, PS3.4 Table B.2-1)."""

    PROCESSING = 0x0110
    NOT_AUTHORIZED = 0x0124
    NO_SPACE = 0xA700
    OTHER_STUDY = 0xA900
    """It does not match what was asked for: here, it is of another study than the address."""
    UNREADABLE = 0xC000


@dataclass(frozen=True, slots=True)
class SentObject:
    """One object as it was sent. UIDs are empty where they can't be read."""

    sop_class: str = ""
    sop_uid: str = ""
    study_uid: str = ""
    failure: FailureReason | None = None

    @property
    def entry_name(self) -> str:
        """What it is called in the zip that is imported."""
        return make_entry_name(self.sop_uid)


def make_entry_name(sop_uid: str) -> str:
    """What an object of this UID, or of one that may not be told, is called in the zip that is imported."""
    return f"{sop_uid if _NAME.fullmatch(sop_uid) else 'object'}.dcm"


def read_sent_object(head: bytes | bytearray, *, whole: bool, study_uid: str = "") -> SentObject | Literal["more"]:
    """What an object is that begins with `head`; "more" where that takes more of it.

    `study_uid`: the study that the request is for, where it names one.
    """
    try:
        header = read_header(bytes(head), len(head) if whole else _UNKNOWN_SIZE, _NONE)
    except Unparseable:
        return SentObject(failure=FailureReason.UNREADABLE) if whole or len(head) >= MAX_HEAD else "more"
    if header.is_dicomdir:
        return SentObject(failure=FailureReason.UNREADABLE)
    sent = SentObject(header.sop_class, header.sop_uid, header.study_uid)
    if study_uid and header.study_uid != study_uid:
        return replace(sent, failure=FailureReason.OTHER_STUDY)
    return sent
