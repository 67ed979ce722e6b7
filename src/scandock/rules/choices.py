"""What a person may decide of a session that is held (rules.md, "Again" and "Which session"): a pure table."""

from __future__ import annotations

from typing import Final, Literal

Choice = Literal["keep_old", "keep_new", "keep_both", "add", "replace", "rename", "accept"]

CHOICES: Final[dict[str, tuple[Choice, ...]]] = {
    "sop_clash": ("keep_old", "keep_new", "keep_both"),
    "session_exists": ("add", "replace", "rename"),
    "type_differs": ("add", "replace", "rename"),
    "study_elsewhere": ("add", "replace", "accept"),
    "label_many_studies": ("rename", "accept"),
    "subject_many_patients": ("rename", "accept"),
    "subject_differs": ("rename", "accept"),
    "patient_mismatch": ("accept",),
    "identified": ("accept",),
}
"""By the code for which it is held. Deleting it is always a choice too, and a verb of its own."""

REASONS: Final[dict[str, str]] = {
    "sop_clash": "images differ",
    "session_exists": "archived already",
    "type_differs": "another type",
    "study_elsewhere": "archived under another label",
    "label_many_studies": "one label, several studies",
    "subject_many_patients": "one subject, several patients",
    "subject_differs": "another subject",
    "patient_mismatch": "several patients in it",
    "identified": "not de-identified",
}
"""What a session is held for, in a few words: a list is sought by it."""
assert set(REASONS) == set(CHOICES)

MEANING: Final[dict[Choice, str]] = {
    "keep_old": "The first version of each image stays, the others are left out.",
    "keep_new": "The last version of each image stays and replaces the others.",
    "keep_both": "All versions stay, each under a name of its own.",
    "add": "New files are added to the archived session, which keeps all that it has.",
    "replace": "The files are added to the archived session and replace its files of the same images.",
    "rename": "The session gets another label or subject.",
    "accept": "The session is right as it is and is ready to be archived.",
}

KEEP_CHOICES: Final[tuple[Choice, ...]] = ("keep_old", "keep_new", "keep_both")

BESIDE_ARCHIVED: Final = frozenset({"session_exists", "type_differs", "study_elsewhere"})
"""Codes of what may join an archived session: where objects differ, `KEEP_CHOICES` alone decides them."""

ARCHIVABLE: Final = frozenset({"session_exists", "type_differs", "identified"})
"""Codes that archiving itself decides: whoever archives such a session has seen why it was held, or is told again."""

FREED_BY_LABEL: Final = frozenset({"label_many_studies", "session_exists", "type_differs"})
"""Codes that another label settles."""

FREED_BY_SUBJECT: Final = frozenset({"subject_many_patients", "subject_differs"})
"""Codes that another subject settles."""

BOUND_TO_OBJECTS: Final = frozenset({"sop_clash", "patient_mismatch"})
"""Codes that lie in the objects themselves: no other project, label or subject settles them."""


def list_choices(code: str) -> tuple[Choice, ...]:
    """What may be decided of a session that is held for `code`; nothing where it is not held."""
    return CHOICES.get(code, ("accept",) if code else ())


def is_choice_for(code: str, choice: Choice) -> bool:
    """Whether a choice is one for `code`: of its own, or `KEEP_CHOICES` where an archived session stands beside it."""
    return choice in list_choices(code) or (code in BESIDE_ARCHIVED and choice in KEEP_CHOICES)


def usable_choices(code: str, *, archived: bool, differ: bool, label_taken: bool = False) -> tuple[Choice, ...]:
    """The choices of `code` that will do something: where objects `differ`, adding and replacing would be refused;
    what belongs to an archived session can't be archived beside it, and what can be renamed is not accepted under a
    label that an archived session of another study has.
    """
    choices = list_choices(code)
    if label_taken and "rename" in choices:
        choices = tuple(choice for choice in choices if choice != "accept")
    if code not in BESIDE_ARCHIVED or not archived:
        return choices
    own = tuple(choice for choice in choices if choice != "accept")
    return (*KEEP_CHOICES, *(choice for choice in own if choice not in ("add", "replace"))) if differ else own


def is_still_held(code: str, *, project: bool, label: bool, subject: bool) -> bool:
    """Whether a session stays held for `code` once it has another project, label or subject."""
    if not code or code in BOUND_TO_OBJECTS:
        return bool(code)
    if project:
        return False
    return not ((label and code in FREED_BY_LABEL) or (subject and code in FREED_BY_SUBJECT))
