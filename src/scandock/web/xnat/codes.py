"""What archiving and the prearchive's verbs refuse, by the original's statuses and words (xnat-behaviour.md 5.6, 5.7).

Ours follow behind: they name the session, and what helps.
"""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from scandock.access.principal import AccessDenied
from scandock.model.errors import ScandockError
from scandock.rules.permissions import AccessDecision
from scandock.web.xnat.routing import in_a_line, said, told

BUSY: Final = "session_busy"
ARCHIVING: Final[dict[str, tuple[int, str]]] = {
    "session_exists": (409, "Session already exists, retry with overwrite enabled"),
    "study_elsewhere": (409, "Invalid modification of session label via archive process."),
    "label_taken": (409, "Invalid modification of session UID via archive process."),
    "subject_differs": (409, "Invalid modification of session subject via archive process."),
    "type_differs": (
        409,
        "Invalid modification of session modality via archive process.  Data may require a manual merge.",
    ),
    "patient_mismatch": (409, "Invalid modification of session subject via archive process."),
    "sop_clash": (409, "Session already exists with matching files."),
    "held_undecided": (409, "The session has a conflict."),
    "project_unassigned": (400, "unable to identify destination project"),
    "label_unusable": (400, "unable to deduce session label"),
    BUSY: (423, "Duplicate archive attempt. Prearchive session already archiving."),
}
"""Code -> status and words, where a session is archived."""
VERBS: Final[dict[str, tuple[int, str]]] = {
    **ARCHIVING,
    BUSY: (409, "session document locked"),
}
"""The same, where something else is done to it."""
_DENIED: Final = "Unable to modify session data for destination project."


def refusal(error: ScandockError, words: dict[str, tuple[int, str]] = VERBS) -> tuple[int, str]:
    """Status and sentence of what is refused; (0, ...) where the dialect has no words of its own for it."""
    ours = in_a_line(*error.public)
    if isinstance(error, AccessDenied) and error.answer is AccessDecision.FORBIDDEN:
        return 403, f"{_DENIED} {ours}"
    status, theirs = words.get(error.code, (0, ""))
    return status, in_a_line(theirs, ours) if theirs and theirs not in ours else ours


def refused(error: ScandockError, words: dict[str, tuple[int, str]] = VERBS) -> Response:
    """The answer of what is refused."""
    status, sentence = refusal(error, words)
    return said(status, sentence) if status else told(error)
