"""Labels: what a text becomes before it may name a subject, a session or a folder (rules.md, "Which session" 2, 7).

Every label is `[A-Za-z0-9_-]`, 1 to 64 characters, and safe as one piece of a path or a URL.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from hashlib import sha256
from typing import Final

from scandock.rules.letters import transliterate

MAX_LABEL: Final = 64
PLACEHOLDERS: Final = ("anonymous", "anonymized", "anon", "unknown", "none")
"""Names that count as absent, in any case; a setting. Empty texts and those of `*` alone always do."""
UNASSIGNED: Final = "Unassigned"
"""Reserved project of the sessions for which no project was found (rules.md, "Which session" 8)."""
RESERVED: Final = "it is reserved, sessions for which no project is named or found stand there"
"""Why `UNASSIGNED` can't be named, for messages."""

OWN_ID: Final = re.compile(r"XNAT_[ES]\d{5,18}", re.IGNORECASE)
"""The form of the server's own ids of sessions and subjects: a label of it would be taken for the id of another one.

One that a person names is refused; one that a header or a folder gives gets a suffix (`collisions`, `subjects`).
"""

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_-]")
_LETTER_OR_DIGIT: Final = re.compile(r"[A-Za-z0-9]")
_PROJECT_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
PADDING: Final = " \t\r\n\0\v\f"
"""What no label begins or ends with."""
_PADDING: Final = PADDING + "^="
_SPOILT: Final = re.compile("\ufffd+[A-Za-z0-9]?")
"""Bytes that the character set does not have, and a letter right behind: as a rule the second byte of a character."""


def clean_label(text: str) -> str:
    """The label that `text` gives, or "" where no letter or digit is left.

    Each character outside `[A-Za-z0-9_-]` becomes `_`, as in the original (xnat-behaviour.md 2.5). What is longer than
    64 is cut and ends in 8 hex digits of a hash of the whole, so that cutting never makes two labels one.
    """
    whole = text.strip(PADDING)
    label = _UNSAFE.sub("_", whole)
    if not _LETTER_OR_DIGIT.search(label):
        return ""
    if len(label) <= MAX_LABEL:
        return label
    return append_suffix(label, "_" + hash_text(whole, 8))


def append_suffix(label: str, suffix: str) -> str:
    """`label` with `suffix`, the label cut where both together are longer than 64."""
    return label[: MAX_LABEL - len(suffix)] + suffix


def label_key(label: str) -> str:
    """What two labels have in common that count as one: labels are compared without case."""
    return label.casefold()


def is_project_id(text: str) -> bool:
    """Whether `text` may be a project's id: `[A-Za-z0-9_-]{1,64}`, and not the reserved `Unassigned`."""
    return _PROJECT_ID.fullmatch(text) is not None and label_key(text) != label_key(UNASSIGNED)


def is_placeholder(text: str, placeholders: Collection[str] = PLACEHOLDERS) -> bool:
    """Whether a patient's name or id says nothing: empty, of `*` alone, or one of `placeholders`, in any case.

    Padding and the empty components of a person name (`ANON^^`) do not count.
    """
    bare = text.strip(_PADDING)
    if not bare.replace("*", "").strip(_PADDING):
        return True
    return bare.casefold() in {name.strip(_PADDING).casefold() for name in placeholders}


def person_label(pn: str, placeholders: Collection[str] = PLACEHOLDERS) -> str:
    """Label of a person name (PS3.5 6.2.1.1), or "" where the name counts as absent.

    Of its component groups (alphabetic, ideographic, phonetic, parted by `=`) the first counts that leaves a letter or
    digit after cleaning; empty components at a group's end are left off. Latin, Greek and Cyrillic letters are spelled
    in ASCII; a group with letters or numbers of others, or with bytes that are none, counts as leaving nothing.
    """
    for group in pn.split("="):
        if is_placeholder(group, placeholders):
            continue
        label = clean_label(transliterate(group.strip(_PADDING)) or "")
        if label:
            return label
    return ""


def plain_person_label(pn: str, placeholders: Collection[str] = PLACEHOLDERS) -> str:
    """Label of a person name as XNAT makes it, and this server did before: what is not ASCII becomes `_`.

    A group whose only letters are what is left of characters in an undeclared character set leaves nothing.
    """
    for group in pn.split("="):
        if not is_placeholder(group, placeholders) and _LETTER_OR_DIGIT.search(_SPOILT.sub("", group)):
            label = clean_label(group.strip(_PADDING))
            if label:
                return label
    return ""


def study_hash_label(uid: str) -> str:
    """The label of last resort of a study: `study_` and 8 hex digits of sha256(StudyInstanceUID)."""
    return "study_" + hash_text(uid, 8)


def hash_text(text: str, digits: int) -> str:
    """The first hex `digits` of the sha256 of `text` in UTF-8."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:digits]
