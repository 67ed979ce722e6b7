"""What a call of the import service wants, in our own words (xnat-behaviour.md 1.4 to 1.6).

Where the original has a fault, the wire format stays and the effect is the intended one: `overwrite=none` refuses to
merge, an unknown value is refused before a byte is read, a project that one may not upload to is 403 or 404.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from scandock.http.receiving.wanted import Speech
from scandock.model.errors import Usage
from scandock.rules.labels import UNASSIGNED

HANDLERS: Final = frozenset({"DICOM-zip", "SI", "gradual-DICOM", "inbox"})
_DEST: Final = re.compile(
    r"(?:/data)?/(?:"
    r"archive(?:/projects/(?P<project>[^/]+))?(?:/subjects/(?P<subject>[^/]+))?(?:/experiments/(?P<session>[^/]+))?"
    r"|prearchive(?:/projects/(?P<waiting>[^/]+)(?:/(?P<timestamp>\d{8}_\d{6,9})(?:/(?P<folder>[^/]+))?)?)?"
    r")/?"
)
_ALIASES: Final = {
    "project": ("project", "PROJECT_ID", "xnat:experimentData/project"),
    "subject": ("subject", "SUBJECT_ID", "SUBJECT_LABEL", "xnat:subjectAssessorData/subject_ID"),
    "session": ("session", "EXPT_LABEL", "PREARC_SESSION_FOLDER", "xnat:experimentData/label"),
}
_OVERWRITE: Final = {"none": "none", "append": "append", "delete": "delete", "override": "delete"}


def true(text: str | None) -> bool:
    """Whether a parameter says yes, as the original reads it."""
    return (text or "").strip().lower() in ("true", "1", "yes", "on")


def by_name(pairs: Iterable[tuple[str, str]], of: str) -> dict[str, str]:
    """Every name with its value; clients send many that nobody reads. Usage for a file that is meant by its path."""
    found = dict(pairs)
    if of == "form" and "reference" in found:
        raise Usage("request_invalid", "multi-part form posts may not be used to upload files via reference.")
    return found


def handler_of(said: Mapping[str, str], media_type: str = "") -> str:
    """The importer that is named; all but `gradual-DICOM` and `inbox` are the same. Usage `handler_unknown` (404)."""
    named = said.get("import-handler", "").strip()
    if not named:
        return "gradual-DICOM" if media_type in ("application/dicom", "application/x-mirc-dicom") else "DICOM-zip"
    if named not in HANDLERS:
        raise Usage("handler_unknown", f"Unknown importer implementation specified: {named[:64]}")
    return named


def wanted(said: Mapping[str, str], media_type: str = "") -> tuple[dict[str, str], dict[str, Any]]:
    """The fields of an upload, and the dialect's own options. Raises Usage for what can't be meant."""
    handler = handler_of(said, media_type)
    fields = _destination(said, handler)
    for name, aliases in _ALIASES.items():
        value = next((said[one].strip() for one in aliases if said.get(one, "").strip()), "")
        if value:
            fields[name] = value
    if fields.get("project", "").casefold() == UNASSIGNED.casefold():
        del fields["project"]
    overwrite = said.get("overwrite", "").strip().lower()
    if overwrite:
        if overwrite not in _OVERWRITE:
            raise Usage("overwrite_invalid", "Overwrite flag was not set to a valid option. ('append' or 'delete')")
        fields["overwrite"] = _OVERWRITE[overwrite]
    fields["ignore_unparsable"] = "true" if _ignores(said, handler) else "false"
    fields["resources"] = "ignore"
    fields["filename"] = said.get("filename", "")
    return fields, {"dialect": True, "keep_names": not true(said.get("rename"))}


def _ignores(said: Mapping[str, str], handler: str) -> bool:
    """`Ignore-Unparsable`; not named, it goes by `action=commit`. The classic importer always ignores (0.5)."""
    named = said.get("Ignore-Unparsable", said.get("Ignore-Unparseable", "")).strip()
    if handler == "SI":
        return True
    if named:
        return true(named)
    return said.get("action", "").lower() == "commit" or bool(said.get("dest", "").strip())


def _destination(said: Mapping[str, str], handler: str) -> dict[str, str]:
    """Where to: `dest`, else what asks for the archive; else the prearchive, as many zips of one session may come.

    The classic importer goes by the project's own policy where nothing is named (5.5).
    """
    dest = said.get("dest", "").strip()
    fields: dict[str, str] = {}
    if dest:
        found = _DEST.fullmatch(dest)
        if found is None:
            raise Usage("dest_invalid", "Parameter dest format error")
        pieces = found.groupdict()
        archive = "/archive" in dest[:14]
        fields["destination"] = "archive" if archive else "prearchive"
        for name, piece in (("project", "project"), ("subject", "subject"), ("session", "session")):
            if pieces[piece]:
                fields[name] = pieces[piece]
        fields.update(
            {name: pieces[piece] for name, piece in (("project", "waiting"), ("session", "folder")) if pieces[piece]}
        )
    if true(said.get("Direct-Archive")):
        fields["destination"] = "archive"
    if "destination" in fields:
        return fields
    auto = said.get("AA", said.get("auto-archive", "")).strip()
    code = said.get("prearchive_code", "").strip()
    if true(auto) or (code == "1" and not auto):
        fields["destination"] = "archive"
    elif auto or code == "0" or handler != "SI":
        fields["destination"] = "prearchive"
    return fields


def speech(media_type: str = "") -> Speech:
    """How the import service's requests say what they want."""
    return Speech(
        named=by_name,
        agree=lambda _query, _form: None,
        meant=lambda said: wanted(said, media_type),
    )
