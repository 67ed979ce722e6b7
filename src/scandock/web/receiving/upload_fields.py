"""What an upload asks for: the same names in the query, in fields of a multipart body and in tus's metadata."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from sqlalchemy import Connection, select

from scandock.access.principal import Principal
from scandock.catalog.tables import project
from scandock.model.request_errors import RequestInvalid
from scandock.rules.errors import LabelUnusable, ProjectIdInvalid
from scandock.rules.import_request import ImportRequest, RequestSource
from scandock.rules.labels import OWN_ID, clean_label, is_project_id
from scandock.rules.mapping import parse_mapping
from scandock.rules.naming import own_id_error
from scandock.services.receiving import Door, UploadOffer
from scandock.web.security import check_upload
from scandock.web.tus.errors import MetadataNearlyKnown

NAMES: Final = (*ImportRequest.fields_of(RequestSource.SENDER), "mapping", "filename")
_CHOICES: Final = {
    name: values for name in ImportRequest.fields_of(RequestSource.SENDER) if (values := ImportRequest.choices(name))
}
_FLAGS: Final = tuple(name for name in ImportRequest.fields_of(RequestSource.SENDER) if ImportRequest.is_flag(name))
NOTHING: Final = ImportRequest()
"""What is asked where nothing is named."""
_TRUTH: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
NEAR: Final = 0.8
"""As `difflib` measures: `projct` and `project_id` are near, `filetype` and `description` are not."""
MAX_KEY: Final = 255
MAX_FILENAME: Final = 255


def named_once(pairs: Iterable[tuple[str, str]], of: str = "query") -> dict[str, str]:
    """What a query (or another part, `of`) names, each name with its value.

    Usage `request_invalid` for a name that means nothing, or comes twice: a slip of the pen must not send an archive
    elsewhere.
    """
    found: dict[str, str] = {}
    for name, value in pairs:
        if name not in NAMES:
            raise RequestInvalid(
                f"The {of} names {name!r}, which means nothing here.",
                f"Known are {', '.join(NAMES)}.",
            )
        if name in found:
            raise RequestInvalid(f"The {of} names {name} twice.", "Name it once.")
        found[name] = value
    return found


def check_agree(query: Mapping[str, str], form: Mapping[str, str]) -> None:
    """Usage `request_invalid` where a query and a form say different things of the same name."""
    for name in sorted(query.keys() & form.keys()):
        if query[name].strip() != form[name].strip():
            raise RequestInvalid(
                f"The query says one thing of {name}, and the form another.",
                "Say it in one place alone.",
            )


def check_foreign(names: Iterable[str]) -> None:
    """Raise MetadataNearlyKnown for a name that is nearly one of ours: clients of tus bring names of their own."""
    for name in names:
        near = None if name in NAMES else get_close_matches(name.lower(), NAMES, n=1, cutoff=NEAR)
        if near:
            raise MetadataNearlyKnown(name, near[0], ", ".join(NAMES))


def request_of(fields: Mapping[str, str], own: ImportRequest = NOTHING) -> ImportRequest:
    """What was named, beside what a door asks for of its `own`. Raises Usage for what can't be meant."""
    named: dict[str, Any] = {}
    name = fields.get("project", "").strip()
    if name:
        if not is_project_id(name):
            raise ProjectIdInvalid(name)
        named["project"] = name
    for label in ("subject", "session"):
        value = fields.get(label, "").strip()
        if not value:
            continue
        if not clean_label(value):
            raise LabelUnusable(f"The {label} {value!r} leaves no letter or digit.", "Name another label.")
        if OWN_ID.fullmatch(clean_label(value)):
            raise own_id_error(clean_label(value))
        named[label] = value
    for choice, values in _CHOICES.items():
        value = fields.get(choice, "").strip().lower()
        if value and value not in values:
            raise RequestInvalid(f"{choice} is {value!r}.", f"Right is one of {', '.join(values)}.")
        if value:
            named[choice] = value
    for flag in _FLAGS:
        truth = fields.get(flag, "").strip().lower()
        if truth and truth not in _TRUTH:
            raise RequestInvalid(f"{flag} is {truth!r}.", "Right is true or false.")
        if truth:
            named[flag] = _TRUTH[truth]
    return own.with_fields(**named)


def filename_of(text: str) -> str:
    """The archive's name without folders and control characters; `archive` where there is none."""
    name = text.replace("\\", "/").rpartition("/")[2]
    name = "".join(char for char in name if char.isprintable()).strip()
    return name[-MAX_FILENAME:] or "archive"


def key_of(text: str | None) -> str | None:
    """The client's idempotency key. Raises Usage where it is too long."""
    if text is not None and len(text) > MAX_KEY:
        raise RequestInvalid(f"The idempotency key is longer than {MAX_KEY} characters.", "Shorten it.")
    return text or None


def _plainly(fields: Mapping[str, str]) -> tuple[Mapping[str, str], ImportRequest]:
    return fields, NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldWords:
    """How a door's requests say what they want: by default, in the words of the API."""

    named: Callable[[Iterable[tuple[str, str]], str], dict[str, str]] = named_once
    """Names and values of a part of the request, `query` or `form`. Raises Usage."""
    agree: Callable[[Mapping[str, str], Mapping[str, str]], None] = check_agree
    """Asked with the query and the form. Raises Usage where they contradict each other."""
    meant: Callable[[Mapping[str, str]], tuple[Mapping[str, str], ImportRequest]] = _plainly
    """What all of it says in the API's words, and what the door asks for besides. Raises Usage."""
    empty_files: bool = True
    """Whether a file part without a byte is a file; else it is what a browser sends for one that nobody chose."""


def offer_of(
    connection: Connection,
    principal: Principal,
    fields: Mapping[str, str],
    own: ImportRequest = NOTHING,
    *,
    door: Door,
    size: int | None = None,
    key: str | None = None,
    metadata: str = "",
) -> UploadOffer:
    """An upload as it was asked for, once it is certain that it may go where it names. Raises Denied and Usage.

    `own` is what the door asks for that no name of the API says.
    """
    asked = request_of(fields, own)
    written = check_upload(principal, connection, asked.project)
    project_id = None
    if written is not None:
        asked = asked.with_fields(project=written)
        project_id = connection.execute(select(project.c.id).where(project.c.name == written)).scalar_one()
    mapping = fields.get("mapping", "")
    if mapping.strip():
        rows = parse_mapping(mapping, "")
        for name in dict.fromkeys(row.project for row in rows if row.project):
            check_upload(principal, connection, name)
    assert principal.account_id is not None
    return UploadOffer(
        account_id=principal.account_id,
        door=door,
        filename=filename_of(fields.get("filename", "")),
        request=asked,
        project_id=project_id,
        mapping=mapping if mapping.strip() else "",
        size=size,
        idempotency_key=key_of(key),
        metadata=metadata,
    )
