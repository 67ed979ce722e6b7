"""The ids by which XNAT's clients call things, made from what the catalog has: subjects, sessions, resources."""

from __future__ import annotations

import hashlib
import re
from typing import Final

EXPERIMENT: Final = "XNAT_E"
SUBJECT: Final = "XNAT_S"
_EXPERIMENT: Final = re.compile(EXPERIMENT + r"(\d{5,18})")
_SUBJECT: Final = re.compile(SUBJECT + r"(\d{5,18})")


def experiment_id(number: int) -> str:
    """The id of a session, from its accession number."""
    return f"{EXPERIMENT}{number:05d}"


def subject_id(number: int) -> str:
    """The id of a subject, from its row's number, which is never given twice (`catalog.subjects`)."""
    return f"{SUBJECT}{number:05d}"


def experiment_number(text: str) -> int | None:
    """The accession number in an id; None where it is none, and so a label."""
    match = _EXPERIMENT.fullmatch(text)
    return int(match[1]) if match else None


def subject_number(text: str) -> int | None:
    """The row's number in a subject's id; None where it is none, and so a label."""
    match = _SUBJECT.fullmatch(text)
    return int(match[1]) if match else None


def resource_id(session: str, scan_id: str | None, label: str) -> str:
    """The `xnat_abstractresource_id` of a resource: digits, the same as long as session, scan and label are.

    Trees come and go with every change, and number their resources anew; clients keep this id between requests.
    `session` is its UUID.
    """
    identity = "\0".join((session, "" if scan_id is None else f"/{scan_id}", label.casefold()))
    return str(int.from_bytes(hashlib.sha256(identity.encode()).digest()[:6], "big"))
