"""What a call of the import service wants, in our own words (xnat-behaviour.md 1.3 to 1.6).

Where the original has a fault, the wire format stays and the effect is the intended one: `overwrite=none` refuses to
merge, a project that one may not upload to is 403 or 404.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from scandock.model.request_errors import RequestInvalid
from scandock.rules.import_request import ImportRequest
from scandock.rules.labels import UNASSIGNED, clean_label
from scandock.rules.session_fields import parse_session_fields
from scandock.services import upload_errors
from scandock.web import urls
from scandock.web.receiving.upload_fields import FieldWords
from scandock.web.xnat.errors import DestinationInvalid, HandlerUnknown, OverwriteInvalid
from scandock.web.xnat.services.destinations import Named

HANDLERS: Final = frozenset({"DICOM-zip", "SI", "gradual-DICOM", "inbox"})
_UNTAKEN: Final = {
    "xar": "XNAT's own archive format is not taken here: send the images, or a zip of them, by DICOM-zip.",
    "automation": "There are no automation scripts here.",
}
_ONE_OBJECT: Final = frozenset({"application/dicom", "application/x-mirc", "application/x-mirc-dicom"})
_SUFFIXES: Final = {
    "application/zip": ".zip", "application/x-zip-compressed": ".zip", "application/x-tar": ".tar",
    "application/x-gtar": ".tar.gz", "application/gzip": ".gz", "application/x-gzip": ".gz",
    "application/dicom": ".dcm",
}  # fmt: skip
_STAMP: Final = re.compile(r"[0-9]{8}_[0-9]{6,9}")
_OVERWRITE: Final = {"none": "none", "append": "append", "delete": "delete", "override": "delete"}
_NOT_SAID: Final = ("", "false", "0")
"""Words for `overwrite` that are as good as none: clients write down what they do not ask for."""


def true(text: str | None) -> bool:
    """Whether a parameter says yes, as the original reads it."""
    return (text or "").strip().lower() in ("true", "1", "yes", "on")


def by_name(pairs: Iterable[tuple[str, str]], of: str) -> dict[str, str]:
    """Every name with its value; clients send many that nobody reads. Usage for a file that is meant by its path."""
    found = dict(pairs)
    if of == "form" and "reference" in found:
        raise RequestInvalid(
            "multi-part form posts may not be used to upload files via reference.",
            "Leave src out, or send the form without a file.",
        )
    return found


def handler_of(said: Mapping[str, str], media_type: str = "") -> str:
    """The importer that is named; all but `inbox` are one pipeline. Usage `handler_unknown` (404)."""
    named = said.get("import-handler", "").strip()
    if not named:
        return "gradual-DICOM" if media_type in _ONE_OBJECT else "DICOM-zip"
    if named not in HANDLERS:
        why = _UNTAKEN.get(named.lower(), f"Known are {', '.join(sorted(HANDLERS))}.")
        raise HandlerUnknown(f"Unknown importer implementation specified: {named[:64]}.", why)
    return named


def _themselves(named: Named) -> Named:
    return named


def wanted(
    said: Mapping[str, str], media_type: str = "", labels: Callable[[Named], Named] = _themselves
) -> tuple[dict[str, str], ImportRequest]:
    """The fields of an upload, and what the dialect alone asks for. Raises Usage for what can't be meant.

    `labels` finds what ids name.
    """
    handler = handler_of(said, media_type)
    fields, named = _destination(said, handler)
    found = labels(named)
    for name, value in (("project", found.project), ("subject", found.subject), ("session", found.session)):
        if value:
            fields[name] = value
    if fields.get("project", "").casefold() == UNASSIGNED.casefold():
        if fields.get("destination") == "archive":
            raise DestinationInvalid(f"{UNASSIGNED} is no project of the archive.", "Name another project.")
        del fields["project"]
    overwrite = _overwrite(said)
    if overwrite:
        fields["overwrite"] = overwrite
    ignores, by_name = _ignores(said, handler)
    fields["ignore_unparsable"] = "true" if ignores else "false"
    fields["resources"] = "ignore"
    fields["filename"] = said.get("filename", "") or f"upload{_SUFFIXES.get(media_type, '')}"
    keep_names = not true(said.get("rename")) and handler != "gradual-DICOM"
    more: dict[str, Any] = {"dialect": True, "keep_names": keep_names, "ignores_by_name": by_name}
    attributes = {name: text for name, text in parse_session_fields(said.items()).items() if text}
    if attributes:
        more["said"] = attributes
    if fields.get("destination") == "prearchive":
        more |= _waits_at(said)
    elif _names_both(said):
        more["one_patient"] = True
    if true(said.get("Direct-Archive")):
        more["direct"] = True
    if true(said.get("quarantine")):
        more["quarantine"] = True
    return fields, ImportRequest(**more)


def listener_of(said: Mapping[str, str]) -> str:
    """The key by which the import can be followed; "" where none is named. Usage where it is named and empty (1.4)."""
    key = said.get("http-session-listener")
    if key is not None and not key.strip():
        raise RequestInvalid(
            "'transaction' is required when requesting 'http-session-listener'.",
            "Give the listener a key, or leave it out.",
        )
    return (key or "").strip()


def _overwrite(said: Mapping[str, str]) -> str:
    """1.6, as it is meant; `overwrite_files` lets what comes replace what is there, unless nothing may be merged.

    Any word that has no meaning of its own appends, as `true` and `1` do. With `prearchive_code=1`, where the original
    looks at it first (step A), such a word is refused.
    """
    named = said.get("overwrite", "").strip().lower()
    if named and named not in _OVERWRITE:
        if said.get("prearchive_code", "").strip() == "1":
            raise OverwriteInvalid
        named = "" if named in _NOT_SAID else "append"
    if true(said.get("overwrite_files")) and named != "none":
        return "delete"
    return _OVERWRITE.get(named, "")


def _ignores(said: Mapping[str, str], handler: str) -> tuple[bool, bool]:
    """`Ignore-Unparsable`, and whether it was said by name; not named, it goes by `action=commit` (1.4).

    A destination is a commit (1.4); the classic importer always ignores (3.1).
    """
    named = said.get("Ignore-Unparsable", said.get("Ignore-Unparseable", "")).strip()
    if named:
        return true(named) or handler == "SI", true(named)
    return handler == "SI" or said.get("action", "").lower() == "commit" or bool(said.get("dest", "").strip()), False


def _destination(said: Mapping[str, str], handler: str) -> tuple[dict[str, str], Named]:
    """Where to: `dest`, else what asks for the archive; else the prearchive, as many zips of one session may come.

    The classic importer goes by the project's own policy where nothing is named (5.5).
    """
    dest = said.get("dest", "").strip()
    pieces = _pieces(dest) if dest else {}
    fields: dict[str, str] = {}
    if dest:
        fields["destination"] = "archive" if pieces.get("archive") else "prearchive"
    if true(said.get("Direct-Archive")):
        fields["destination"] = "archive"
    if "destination" not in fields:
        auto = said.get("AA", "").strip() or said.get("auto-archive", "").strip()
        code = said.get("prearchive_code", "").strip()
        if true(said.get("AA")) or true(said.get("auto-archive")) or (code == "1" and not auto):
            fields["destination"] = "archive"
        elif auto or code == "0" or handler != "SI":
            fields["destination"] = "prearchive"
    named = _names(said, pieces)
    if handler == "SI" and fields.get("destination") == "prearchive":
        _check_classic(said, named)
    return fields, named


def _pieces(dest: str) -> dict[str, str]:
    found = urls.parse_import_dest(dest)
    if found is None:
        raise DestinationInvalid(
            "Parameter dest format error",
            "Right are /archive/projects/{project}/subjects/{subject}/experiments/{session},"
            " /prearchive/projects/{project}/{timestamp}/{session}, and the beginnings of these.",
        )
    return found


def _waits_at(said: Mapping[str, str]) -> dict[str, str]:
    """Timestamp and folder of the prearchive, where the call names them (1.5). Usage `dest_invalid`.

    A folder that is no label gives none: its address would lead nowhere.
    """
    pieces = _pieces(said["dest"].strip()) if said.get("dest", "").strip() else {}
    stamp = pieces.get("timestamp") or said.get("PREARC_TIMESTAMP", "").strip()
    folder = pieces.get("folder") or said.get("PREARC_SESSION_FOLDER", "").strip()
    if not stamp:
        return {}
    if not _STAMP.fullmatch(stamp):
        raise DestinationInvalid(
            f"PREARC_TIMESTAMP can't be {stamp[:40]!r}.", "Right is yyyyMMdd_HHmmssSSS, in digits."
        )
    return {"timestamp": stamp, **({"folder": folder} if folder and clean_label(folder) == folder else {})}


def _names_both(said: Mapping[str, str]) -> bool:
    """Whether `dest` names a subject and a session of it: what comes is theirs by the sender's word."""
    pieces = _pieces(said["dest"].strip()) if said.get("dest", "").strip() else {}
    return bool(pieces.get("subject") and pieces.get("session"))


def _names(said: Mapping[str, str], pieces: Mapping[str, str]) -> Named:
    """Project, subject and session, each by the first that names it: its own parameter, `dest`, an alias (1.4)."""

    def first(*values: str | None) -> str:
        return next((value.strip() for value in values if value and value.strip()), "")

    get = said.get
    label = first(get("session"))
    address = first(pieces.get("session"))
    alias = first(get("EXPT_LABEL"), get("xnat:experimentData/label"))
    by_id = address or first(get("EXPT_ID"))
    session = label or address or alias or by_id or first(pieces.get("folder"), get("PREARC_SESSION_FOLDER"))
    return Named(
        project=first(
            get("project"), pieces.get("project"), pieces.get("waiting"), get("PROJECT_ID"),
            get("xnat:experimentData/project"),
        ),
        subject=first(
            get("subject"), pieces.get("subject"), get("SUBJECT_ID"), get("SUBJECT_LABEL"),
            get("xnat:subjectAssessorData/subject_ID"),
        ),
        session=session,
        is_experiment=bool(session) and not label and session == by_id and not (alias and not address),
    )  # fmt: skip


def _check_classic(said: Mapping[str, str], named: Named) -> None:
    """The classic importer's own words for half a prearchive address (1.5)."""
    timestamp, folder = said.get("PREARC_TIMESTAMP", "").strip(), said.get("PREARC_SESSION_FOLDER", "").strip()
    if (timestamp or folder) and not named.project:
        raise DestinationInvalid(
            "User must specify project portion of prearchive path, if timestamp/session portion is specified.",
            "Name it by project.",
        )
    if folder and not timestamp:
        raise DestinationInvalid(
            "User must specify timestamp portion of prearchive path, if session portion is specified.",
            "Name it by PREARC_TIMESTAMP.",
        )


class Call:
    """One call: what its query and its form say, as `Speech` asks for it."""

    def __init__(
        self,
        query: Mapping[str, str],
        media_type: str,
        labels: Callable[[Named], Named],
        *,
        may_archive: bool = False,
    ) -> None:
        """`may_archive`: what who asks is logged in by serves for archiving too."""
        self.query = dict(query)
        self._may_archive = may_archive
        self.form: dict[str, str] = {}
        self._media_type = media_type
        self._labels = labels

    @property
    def said(self) -> dict[str, str]:
        """All names, the query's before the form's."""
        return {**self.form, **self.query}

    def meant(self, said: Mapping[str, str]) -> tuple[dict[str, str], ImportRequest]:
        if said.get("src") and said.get("filename") and self._media_type == "multipart/form-data":
            raise upload_errors.FileAndSource
        fields, own = wanted(said, self._media_type, self._labels)
        return fields, own.with_fields(settles=True) if self._may_archive else own

    def speech(self) -> FieldWords:
        """A form's file part without a byte stands beside `src`, or is nothing that could be imported."""
        return FieldWords(named=self._named, agree=lambda _query, _form: None, meant=self.meant, empty_files=False)

    def _named(self, pairs: Iterable[tuple[str, str]], of: str) -> dict[str, str]:
        if of == "query":
            return dict(self.query)
        self.form = by_name(pairs, of)
        return dict(self.form)
