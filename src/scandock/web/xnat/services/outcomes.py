"""What XNAT's clients hear of an import that has ended: success only where nothing that was asked for is missing.

The same rule for who waits for the answer and for who follows by a key (xnat-behaviour.md 1.7, 1.8, 6.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from scandock.model import uris
from scandock.model.dataclass import dataclass
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
_ALL_FILTERED: Final = "all_filtered"
_UNREADABLE: Final = "unable to read DICOM object"
_HELD: Final = "unable to archive for the Prearchive session."
_STATUS: Final = {DiskFull.CODE: DiskFull.STATUS, ProjectUnknown.CODE: ProjectUnknown.STATUS, "account_disabled": 403}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOutcome:
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


def make_outcome(finished_import: Import, request: ImportRequest) -> ImportOutcome:
    """The end of an import as its object tells it; `request` is what it was asked for with.

    What was bound for the archive and waits in the prearchive is an error (5.6), but not for a direct archive, which
    falls back on the prearchive (2.9). What could not be taken of an archive is one, unless the client has it ignored
    by name. What import filters leave out is no error: with all left out there are no addresses (1.7).
    """
    if finished_import.code == _ALL_FILTERED:
        return ImportOutcome(uris=())
    sessions = [entry for entry in finished_import.brought() if entry.uri]
    uris = tuple(dict.fromkeys(entry.uri for entry in sessions if entry.uri))
    state = finished_import.state
    conflicts = [entry for entry in sessions if entry.state == "conflict"]
    fell_short = conflicts and request.destination == "archive" and not request.direct
    if not fell_short and (
        state in ("placed", "held") or (state == "partly" and _is_ignored(finished_import, request))
    ):
        return ImportOutcome(uris=uris)
    code, message = (
        (conflicts[0].code, conflicts[0].message) if fell_short else (finished_import.code, finished_import.message)
    )
    status = {ImportState.FAILED: 500, ImportState.CANCELLED: 410}.get(state, 409 if fell_short else 400)
    xnat_text = (
        _unreadable_sentence(message)
        if code == "unparseable_entries"
        else _TEXTS.get(code, _HELD if fell_short else "")
    )
    sentences = [xnat_text, message, _stored_sentence(uris), _retry_sentence(finished_import)]
    return ImportOutcome(
        uris=uris, status=_STATUS.get(code, status), text=" ".join(entry for entry in sentences if entry)
    )


def _unreadable_sentence(message: str) -> str:
    """The original's words for what is no image, with the name of the first: it tells of no other.

    A refusal of `unparseable_entries` names it so: `: 'NAME' (why)`.
    """
    name, separator, _ = message.partition(": '")[2].partition("' (")
    return f"{_UNREADABLE} {name}." if separator else f"{_UNREADABLE}."


def _is_ignored(finished_import: Import, request: ImportRequest) -> bool:
    """Whether all that is missing is what could not be read, and the client said by name that this is to be ignored."""
    entries = finished_import.brought()
    return bool(entries) and all(entry.uri for entry in entries) and request.ignores_by_name


def _stored_sentence(uris: Sequence[str]) -> str:
    return f"What could be taken stands at {', '.join(uris)}." if uris else ""


def _retry_sentence(failed_import: Import) -> str:
    if failed_import.state is ImportState.FAILED:
        return f"What was sent is kept: the import {failed_import.id} can be tried again on the page, or by the API."
    return ""
