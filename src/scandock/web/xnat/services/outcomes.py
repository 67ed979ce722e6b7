"""What XNAT's clients hear of an import that has ended: success only where nothing that was asked for is missing.

The same rule for who waits for the answer and for who follows by a key (xnat-behaviour.md 1.7, 1.8, 6.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from scandock.model import uris
from scandock.model.machine_errors import DiskFull
from scandock.model.verdicts import ImportState
from scandock.rules.errors import ProjectUnknown
from scandock.rules.import_request import ImportRequest
from scandock.services.import_records import Import

_TEXTS: Final = {
    "no_images": "Upload did not include parsable files for session generation.",
    "session_exists": "Session already exists, retry with overwrite enabled.",
    "type_differs": "Invalid modification of session modality via archive process.  Data may require a manual merge.",
    "not_an_archive": "Unsupported format UNKNOWN.",
    "unsupported_archive": "Unsupported format UNKNOWN.",
    "damaged": "unable to read data from file.",
    "truncated": "unable to read data from file.",
    "empty_archive": "Unable to identify upload format.",
}
"""Codes for which the original has words that clients may look for; ours follow behind."""
_UNREADABLE: Final = "unable to read DICOM object"
_HELD: Final = "unable to archive for the Prearchive session."
_STATUS: Final = {DiskFull.CODE: DiskFull.STATUS, ProjectUnknown.CODE: ProjectUnknown.STATUS, "account_disabled": 403}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """An import's end: where its sessions stand and, where it is no success, what to say with which status."""

    uris: tuple[str, ...]
    status: int = 200
    text: str = ""

    @property
    def good(self) -> bool:
        return self.status == 200

    @property
    def final_message(self) -> str:
        """6.1: `Prearchive:` or `Archive:` and the addresses without /data, or the error."""
        if not self.good:
            return self.text
        archived = bool(self.uris) and all(uris.is_archived(uri) for uri in self.uris)
        addresses = ";".join(uris.without_data(uri) for uri in self.uris)
        return f"{'Archive' if archived else 'Prearchive'}:{addresses}"


def ended(found: Import, request: ImportRequest) -> Ended:
    """The end of an import as its object tells it; `request` is what it was asked for with.

    What was bound for the archive and waits in the prearchive is an error (5.6), but not for a direct archive, which
    falls back on the prearchive (2.9). What could not be taken of an archive is one, unless the client has it ignored
    by name.
    """
    sessions = [one for one in found.brought() if one.uri]
    uris = tuple(dict.fromkeys(one.uri for one in sessions if one.uri))
    state = found.state
    held = [one for one in sessions if one.state == "conflict"]
    missed = held and request.destination == "archive" and not request.direct
    if not missed and (state in ("placed", "held") or (state == "partly" and _is_ignored(found, request))):
        return Ended(uris=uris)
    code, message = (held[0].code, held[0].message) if missed else (found.code, found.message)
    status = {ImportState.FAILED: 500, ImportState.CANCELLED: 410}.get(state, 409 if missed else 400)
    words = _unreadable(message) if code == "unparseable_entries" else _TEXTS.get(code, _HELD if missed else "")
    said = [words, message, _stands(uris), _goes_on(found)]
    return Ended(uris=uris, status=_STATUS.get(code, status), text=" ".join(one for one in said if one))


def _unreadable(message: str) -> str:
    """The original's words for what is no image, with the name of the first: it tells of no other.

    A refusal of `unparseable_entries` names it so: `: 'NAME' (why)`.
    """
    name, named, _ = message.partition(": '")[2].partition("' (")
    return f"{_UNREADABLE} {name}." if named else f"{_UNREADABLE}."


def _is_ignored(found: Import, request: ImportRequest) -> bool:
    """Whether all that is missing is what could not be read, and the client said by name that this is to be ignored."""
    every = found.brought()
    return bool(every) and all(one.uri for one in every) and request.ignores_by_name


def _stands(uris: Sequence[str]) -> str:
    return f"What could be taken stands at {', '.join(uris)}." if uris else ""


def _goes_on(found: Import) -> str:
    if found.state is ImportState.FAILED:
        return f"What was sent is kept: the import {found.id} can be tried again on the page, or by the API."
    return ""
