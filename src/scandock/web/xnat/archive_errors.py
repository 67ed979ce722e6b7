"""What archiving and the prearchive's verbs refuse, by the original's statuses and words (xnat-behaviour.md 5.6, 5.7).

Ours follow behind: they name the session, and what helps.
"""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from scandock.access.principal import AccessDenied
from scandock.model.errors import ScandockError
from scandock.rules.permissions import AccessDecision
from scandock.web.xnat.routing import error_response, join_sentences, text_response

BUSY: Final = "session_busy"
ARCHIVE_ERRORS: Final[dict[str, tuple[int, str]]] = {
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
PREARCHIVE_ERRORS: Final[dict[str, tuple[int, str]]] = {
    **ARCHIVE_ERRORS,
    BUSY: (409, "session document locked"),
}
"""The same, where something else is done to it."""
_DENIED: Final = "Unable to modify session data for destination project."


def describe_refusal(error: ScandockError, words: dict[str, tuple[int, str]] = PREARCHIVE_ERRORS) -> tuple[int, str]:
    """Status and sentence of what is refused; (0, ...) where the dialect has no words of its own for it."""
    own_text = join_sentences(*error.public)
    if isinstance(error, AccessDenied) and error.answer is AccessDecision.FORBIDDEN:
        return 403, f"{_DENIED} {own_text}"
    status, xnat_text = words.get(error.code, (0, ""))
    return status, join_sentences(xnat_text, own_text) if xnat_text and xnat_text not in own_text else own_text


def refusal_response(error: ScandockError, words: dict[str, tuple[int, str]] = PREARCHIVE_ERRORS) -> Response:
    """The answer of what is refused."""
    status, sentence = describe_refusal(error, words)
    return text_response(status, sentence) if status else error_response(error)
