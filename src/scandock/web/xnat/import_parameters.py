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
from scandock.web.receiving.upload_fields import FieldDialect
from scandock.web.xnat.errors import DestinationInvalid, HandlerUnknown, OverwriteInvalid
from scandock.web.xnat.services.destinations import Destination

ONE_OBJECT: Final = "gradual-DICOM"
"""The importer of one object a call."""
HANDLERS: Final = frozenset({"DICOM-zip", "SI", ONE_OBJECT, "inbox"})
_UNSUPPORTED: Final = {
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
_NO_OVERWRITE: Final = ("", "false", "0")
"""Words for `overwrite` that are as good as none: clients write down what they do not ask for."""


def is_true(text: str | None) -> bool:
    """Whether a parameter says yes, as the original reads it."""
    return (text or "").strip().lower() in ("true", "1", "yes", "on")


def read_values(pairs: Iterable[tuple[str, str]], source: str) -> dict[str, str]:
    """Every name with its value; clients send many that nobody reads. Usage for a file that is meant by its path."""
    values = dict(pairs)
    if source == "form" and "reference" in values:
        raise RequestInvalid(
            "multi-part form posts may not be used to upload files via reference.",
            "Leave src out, or send the form without a file.",
        )
    return values


def read_handler(params: Mapping[str, str], media_type: str = "") -> str:
    """The importer that is named; all but `inbox` are one pipeline. Usage `handler_unknown` (404)."""
    name = params.get("import-handler", "").strip()
    if not name:
        return ONE_OBJECT if media_type in _ONE_OBJECT else "DICOM-zip"
    if name not in HANDLERS:
        why = _UNSUPPORTED.get(name.lower(), f"Known are {', '.join(sorted(HANDLERS))}.")
        raise HandlerUnknown(f"Unknown importer implementation specified: {name[:64]}.", why)
    return name


def _unchanged(destination: Destination) -> Destination:
    return destination


def read_import_fields(
    params: Mapping[str, str], media_type: str = "", labels: Callable[[Destination], Destination] = _unchanged
) -> tuple[dict[str, str], ImportRequest]:
    """The fields of an upload, and what the dialect alone asks for. Raises Usage for what can't be meant.

    `labels` finds what ids name.
    """
    handler = read_handler(params, media_type)
    fields, destination = _read_destination(params, handler)
    resolved = labels(destination)
    for name, value in (("project", resolved.project), ("subject", resolved.subject), ("session", resolved.session)):
        if value:
            fields[name] = value
    if fields.get("project", "").casefold() == UNASSIGNED.casefold():
        if fields.get("destination") == "archive":
            raise DestinationInvalid(f"{UNASSIGNED} is no project of the archive.", "Name another project.")
        del fields["project"]
    overwrite = _read_overwrite(params)
    if overwrite:
        fields["overwrite"] = overwrite
    ignores, ignores_by_name = _read_ignores(params, handler)
    fields["ignore_unparsable"] = "true" if ignores else "false"
    fields["resources"] = "ignore"
    fields["filename"] = params.get("filename", "") or f"upload{_SUFFIXES.get(media_type, '')}"
    keep_names = not is_true(params.get("rename")) and handler != ONE_OBJECT
    options: dict[str, Any] = {"dialect": True, "keep_names": keep_names, "ignores_by_name": ignores_by_name}
    attributes = {name: text for name, text in parse_session_fields(params.items()).items() if text}
    if attributes:
        options["said"] = attributes
    if fields.get("destination") == "prearchive":
        options |= _read_prearchive_place(params)
    elif _names_subject_and_session(params):
        options["one_patient"] = True
    if is_true(params.get("Direct-Archive")):
        options["direct"] = True
    if is_true(params.get("prevent_anon")):
        options["prevent_anon"] = True
    if is_true(params.get("quarantine")):
        options["quarantine"] = True
    return fields, ImportRequest(**options)


def read_listener(params: Mapping[str, str]) -> str:
    """The key by which the import can be followed; "" where none is named. Usage where it is named and empty (1.4)."""
    key = params.get("http-session-listener")
    if key is not None and not key.strip():
        raise RequestInvalid(
            "'transaction' is required when requesting 'http-session-listener'.",
            "Give the listener a key, or leave it out.",
        )
    return (key or "").strip()


def _read_overwrite(params: Mapping[str, str]) -> str:
    """1.6, as it is meant; `overwrite_files` lets what comes replace what is there, unless nothing may be merged.

    Any word that has no meaning of its own appends, as `true` and `1` do. With `prearchive_code=1`, where the original
    looks at it first (step A), such a word is refused.
    """
    overwrite = params.get("overwrite", "").strip().lower()
    if overwrite and overwrite not in _OVERWRITE:
        if params.get("prearchive_code", "").strip() == "1":
            raise OverwriteInvalid
        overwrite = "" if overwrite in _NO_OVERWRITE else "append"
    if is_true(params.get("overwrite_files")) and overwrite != "none":
        return "delete"
    return _OVERWRITE.get(overwrite, "")


def _read_ignores(params: Mapping[str, str], handler: str) -> tuple[bool, bool]:
    """`Ignore-Unparsable`, and whether it was said by name; not named, it goes by `action=commit` (1.4).

    A destination is a commit (1.4); the classic importer always ignores (3.1).
    """
    value = params.get("Ignore-Unparsable", params.get("Ignore-Unparseable", "")).strip()
    if value:
        return is_true(value) or handler == "SI", is_true(value)
    return handler == "SI" or params.get("action", "").lower() == "commit" or bool(
        params.get("dest", "").strip()
    ), False


def _read_destination(params: Mapping[str, str], handler: str) -> tuple[dict[str, str], Destination]:
    """Where to: `dest`, else what asks for the archive; else the prearchive, as many zips of one session may come.

    The classic importer goes by the project's own policy where nothing is named (5.5).
    """
    dest = params.get("dest", "").strip()
    pieces = _parse_dest(dest) if dest else {}
    fields: dict[str, str] = {}
    if dest:
        fields["destination"] = "archive" if pieces.get("archive") else "prearchive"
    if is_true(params.get("Direct-Archive")):
        fields["destination"] = "archive"
    if "destination" not in fields:
        auto = params.get("AA", "").strip() or params.get("auto-archive", "").strip()
        code = params.get("prearchive_code", "").strip()
        if is_true(params.get("AA")) or is_true(params.get("auto-archive")) or (code == "1" and not auto):
            fields["destination"] = "archive"
        elif auto or code == "0" or handler != "SI":
            fields["destination"] = "prearchive"
    destination_names = _read_names(params, pieces)
    if handler == "SI" and fields.get("destination") == "prearchive":
        _check_classic(params, destination_names)
    return fields, destination_names


def _parse_dest(dest: str) -> dict[str, str]:
    pieces = urls.parse_import_dest(dest)
    if pieces is None:
        raise DestinationInvalid(
            "Parameter dest format error",
            "Right are /archive/projects/{project}/subjects/{subject}/experiments/{session},"
            " /prearchive/projects/{project}/{timestamp}/{session}, and the beginnings of these.",
        )
    return pieces


def _read_prearchive_place(params: Mapping[str, str]) -> dict[str, str]:
    """Timestamp and folder of the prearchive, where the call names them (1.5). Usage `dest_invalid`.

    A folder that is no label gives none: its address would lead nowhere.
    """
    pieces = _parse_dest(params["dest"].strip()) if params.get("dest", "").strip() else {}
    stamp = pieces.get("timestamp") or params.get("PREARC_TIMESTAMP", "").strip()
    folder = pieces.get("folder") or params.get("PREARC_SESSION_FOLDER", "").strip()
    if not stamp:
        return {}
    if not _STAMP.fullmatch(stamp):
        raise DestinationInvalid(
            f"PREARC_TIMESTAMP can't be {stamp[:40]!r}.", "Right is yyyyMMdd_HHmmssSSS, in digits."
        )
    return {"timestamp": stamp, **({"folder": folder} if folder and clean_label(folder) == folder else {})}


def _names_subject_and_session(params: Mapping[str, str]) -> bool:
    """Whether `dest` names a subject and a session of it: what comes is theirs by the sender's word."""
    pieces = _parse_dest(params["dest"].strip()) if params.get("dest", "").strip() else {}
    return bool(pieces.get("subject") and pieces.get("session"))


def _read_names(params: Mapping[str, str], pieces: Mapping[str, str]) -> Destination:
    """Project, subject and session, each by the first that names it: its own parameter, `dest`, an alias (1.4)."""

    def first(*values: str | None) -> str:
        return next((value.strip() for value in values if value and value.strip()), "")

    get = params.get
    label = first(get("session"))
    address = first(pieces.get("session"))
    alias = first(get("EXPT_LABEL"), get("xnat:experimentData/label"))
    by_id = address or first(get("EXPT_ID"))
    session = label or address or alias or by_id or first(pieces.get("folder"), get("PREARC_SESSION_FOLDER"))
    return Destination(
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


def _check_classic(params: Mapping[str, str], destination: Destination) -> None:
    """The classic importer's own words for half a prearchive address (1.5)."""
    timestamp, folder = params.get("PREARC_TIMESTAMP", "").strip(), params.get("PREARC_SESSION_FOLDER", "").strip()
    if (timestamp or folder) and not destination.project:
        raise DestinationInvalid(
            "User must specify project portion of prearchive path, if timestamp/session portion is specified.",
            "Name it by project.",
        )
    if folder and not timestamp:
        raise DestinationInvalid(
            "User must specify timestamp portion of prearchive path, if session portion is specified.",
            "Name it by PREARC_TIMESTAMP.",
        )


class ImportCall:
    """One call: what its query and its form say, as `FieldDialect` asks for it."""

    def __init__(
        self,
        query: Mapping[str, str],
        media_type: str,
        labels: Callable[[Destination], Destination],
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
    def values(self) -> dict[str, str]:
        """All names, the query's before the form's."""
        return {**self.form, **self.query}

    def read_fields(self, params: Mapping[str, str]) -> tuple[dict[str, str], ImportRequest]:
        if params.get("src") and params.get("filename") and self._media_type == "multipart/form-data":
            raise upload_errors.FileAndSource
        fields, import_request = read_import_fields(params, self._media_type, self._labels)
        return fields, import_request.with_fields(settles=True) if self._may_archive else import_request

    def speech(self) -> FieldDialect:
        """A form's file part without a byte stands beside `src`, or is nothing that could be imported."""
        return FieldDialect(
            parse=self._named, check_agreement=lambda _query, _form: None, translate=self.read_fields, empty_files=False
        )

    def _named(self, pairs: Iterable[tuple[str, str]], source: str) -> dict[str, str]:
        if source == "query":
            return dict(self.query)
        self.form = read_values(pairs, source)
        return dict(self.form)
