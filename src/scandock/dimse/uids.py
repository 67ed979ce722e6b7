"""Which SOP classes and transfer syntaxes a receiver takes, and the UIDs of the protocol itself (PS3.6 annex A)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

ROOT: Final = "1.2.840.10008."
VERIFICATION: Final = ROOT + "1.1"
COMMITMENT: Final = ROOT + "1.20.1"
COMMITMENT_INSTANCE: Final = ROOT + "1.20.1.1"
APPLICATION_CONTEXT: Final = ROOT + "3.1.1.1"
STORAGE_SERVICE: Final = ROOT + "4.2"
IMPLICIT: Final = ROOT + "1.2"
DEFLATED: Final = ROOT + "1.2.1.99"

IMPLEMENTATION_CLASS: Final = "2.25.285021237039080495057864077822208884253"
"""Ours, for associations and the meta information of what they bring."""

_UID: Final = re.compile(r"[0-9]+(?:\.[0-9]+)*")

_OTHERS: Final = """
1 1 9 40 42; 1.3 10; 1.4.1 1-18; 1.4.2 1-2; 1.4.3 1-3; 1.4.4 1; 1.4.5 1; 1.4.6 1-3; 1.5 1-8; 1.20 1-2; 1.20.1 1;
1.20.2 1; 1.40 1; 1.42 1; 2.6 1; 2.16 4-18; 3.1.1 1; 3.1.2.1 1 4; 3.1.2.2 1; 3.1.2.3 1-5; 3.1.2.5 1 4 5; 3.1.2.6 1;
4 2; 5.1.1 1 2 4 9 14-18 22-26 31-33 40; 5.1.1.4 1 2; 5.1.1.9 1; 5.1.1.16 376; 5.1.1.17 376; 5.1.1.18 1; 5.1.1.24 1;
5.1.1.40 1; 5.1.4.1.1.200 4-6; 5.1.4.1.1.201 2-6; 5.1.4.1.1.201.1 1; 5.1.4.1.2.1 1-3; 5.1.4.1.2.2 1-3;
5.1.4.1.2.3 1-3; 5.1.4.1.2.4 2 3; 5.1.4.1.2.5 3; 5.1.4.20 1-3; 5.1.4 31-33 41 42; 5.1.4.32 1-3; 5.1.4.34 2-6 8 9;
5.1.4.34.4 1-4; 5.1.4.34.5 1; 5.1.4.34.6 1-5; 5.1.4.37 1-3; 5.1.4.38 2-4; 5.1.4.39 2-4; 5.1.4.43 2-4; 5.1.4.44 2-4;
5.1.4.45 2-4; 7.1 1 2; 8.1 1; 10 1-4; 15.1 1
"""
"""The standard's UIDs that are no storage class: what they have in common, then last parts and ranges of them.

A test holds them to the standard's dictionary.
"""
_FAMILIES: Final = (ROOT + "1.2.", ROOT + "15.0.")
"""Transfer syntaxes; object identifiers of LDAP."""


def _expand(text: str) -> Iterator[str]:
    for line in text.replace("\n", " ").split(";"):
        parent, *lasts = line.split()
        for last in lasts:
            low, _, high = last.partition("-")
            for number in range(int(low), int(high or low) + 1):
                yield f"{ROOT}{parent}.{number}"


_OTHER_UIDS: Final = frozenset(_expand(_OTHERS)) | {IMPLICIT, ROOT + "1.20"}

_JPEG: Final = (*range(50, 67), 70, 80, 81, *range(90, 94))
_VIDEO: Final = range(100, 107)
TRANSFER_SYNTAXES: Final = frozenset(
    (
        *(IMPLICIT, ROOT + "1.2.1", ROOT + "1.2.1.98", DEFLATED, ROOT + "1.2.2", ROOT + "1.2.5", ROOT + "1.2.8.1"),
        *(f"{ROOT}1.2.4.{number}" for number in _JPEG),
        *(f"{ROOT}1.2.4.{number}" for number in _VIDEO),
        *(f"{ROOT}1.2.4.{number}.1" for number in _VIDEO),
        *(f"{ROOT}1.2.4.{number}" for number in (107, 108, 110, 111, 112, 201, 202, 203)),
    )
)
"""All of the standard but those whose pixels are elsewhere (JPIP, SMPTE ST 2110) or whose header is not DICOM's own."""


def is_uid(text: str) -> bool:
    """Whether it is written as a UID (PS3.5 section 9.1; leading zeros are let pass, as devices send them)."""
    return len(text) <= 64 and _UID.fullmatch(text) is not None


def is_storage(uid: str) -> bool:
    """Whether an abstract syntax is taken for storage: every UID that the standard does not use for something else."""
    return is_uid(uid) and uid not in _OTHER_UIDS and not uid.startswith(_FAMILIES)
