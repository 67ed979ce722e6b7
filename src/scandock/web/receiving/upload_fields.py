"""What an upload asks for: the same names in the query, in fields of a multipart body and in tus's metadata."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Final

from sqlalchemy import Connection, select

from scandock.access.principal import Principal
from scandock.catalog.tables import project
from scandock.formats.display_names import escape_name
from scandock.model.dataclass import dataclass
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
EMPTY_REQUEST: Final = ImportRequest()
"""What is asked where nothing is named."""
_BOOLEANS: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
MIN_SIMILARITY: Final = 0.8
"""As `difflib` measures: `projct` and `project_id` are near, `filetype` and `description` are not."""
MAX_KEY: Final = 255
MAX_FILENAME: Final = 255


def parse_fields(pairs: Iterable[tuple[str, str]], part: str = "query") -> dict[str, str]:
    """What a query (or another part, `part`) names, each name with its value.

    Usage `request_invalid` for a name that means nothing, or comes twice: a slip of the pen must not send an archive
    elsewhere.
    """
    fields: dict[str, str] = {}
    for name, value in pairs:
        if name not in NAMES:
            raise RequestInvalid(
                f"The {part} names {name!r}, which means nothing here.",
                f"Known are {', '.join(NAMES)}.",
            )
        if name in fields:
            raise RequestInvalid(f"The {part} names {name} twice.", "Name it once.")
        fields[name] = value
    return fields


def check_fields_agree(query: Mapping[str, str], form: Mapping[str, str]) -> None:
    """Usage `request_invalid` where a query and a form say different things of the same name."""
    for name in sorted(query.keys() & form.keys()):
        if query[name].strip() != form[name].strip():
            raise RequestInvalid(
                f"The query says one thing of {name}, and the form another.",
                "Say it in one place alone.",
            )


def check_misspelled(names: Iterable[str]) -> None:
    """Raise MetadataNearlyKnown for a name that is nearly one of ours: clients of tus bring names of their own."""
    for name in names:
        close_matches = None if name in NAMES else get_close_matches(name.lower(), NAMES, n=1, cutoff=MIN_SIMILARITY)
        if close_matches:
            raise MetadataNearlyKnown(name, close_matches[0], ", ".join(NAMES))


def parse_import_request(fields: Mapping[str, str], door_request: ImportRequest = EMPTY_REQUEST) -> ImportRequest:
    """What was named, beside what a door asks for of its `door_request`. Raises Usage for what can't be meant."""
    values_by_name: dict[str, Any] = {}
    name = fields.get("project", "").strip()
    if name:
        if not is_project_id(name):
            raise ProjectIdInvalid(name)
        values_by_name["project"] = name
    for label in ("subject", "session"):
        value = fields.get(label, "").strip()
        if not value:
            continue
        if not clean_label(value):
            raise LabelUnusable(f"The {label} {value!r} leaves no letter or digit.", "Name another label.")
        if OWN_ID.fullmatch(clean_label(value)):
            raise own_id_error(clean_label(value))
        values_by_name[label] = value
    for choice, values in _CHOICES.items():
        value = fields.get(choice, "").strip().lower()
        if value and value not in values:
            raise RequestInvalid(f"{choice} is {value!r}.", f"Right is one of {', '.join(values)}.")
        if value:
            values_by_name[choice] = value
    for flag in _FLAGS:
        flag_text = fields.get(flag, "").strip().lower()
        if flag_text and flag_text not in _BOOLEANS:
            raise RequestInvalid(f"{flag} is {flag_text!r}.", "Right is true or false.")
        if flag_text:
            values_by_name[flag] = _BOOLEANS[flag_text]
    return door_request.with_fields(**values_by_name)


def clean_filename(text: str) -> str:
    """The archive's name without folders, what does not print as escapes; `archive` where there is none."""
    name = text.replace("\\", "/").rpartition("/")[2]
    return escape_name(name.strip())[-MAX_FILENAME:] or "archive"


def check_idempotency_key(text: str | None) -> str | None:
    """The client's idempotency key. Raises Usage where it is too long."""
    if text is not None and len(text) > MAX_KEY:
        raise RequestInvalid(f"The idempotency key is longer than {MAX_KEY} characters.", "Shorten it.")
    return text or None


def _api_fields(fields: Mapping[str, str]) -> tuple[Mapping[str, str], ImportRequest]:
    return fields, EMPTY_REQUEST


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldDialect:
    """How a door's requests say what they want: by default, in the words of the API."""

    parse: Callable[[Iterable[tuple[str, str]], str], dict[str, str]] = parse_fields
    """Names and values of a part of the request, `query` or `form`. Raises Usage."""
    check_agreement: Callable[[Mapping[str, str], Mapping[str, str]], None] = check_fields_agree
    """Asked with the query and the form. Raises Usage where they contradict each other."""
    translate: Callable[[Mapping[str, str]], tuple[Mapping[str, str], ImportRequest]] = _api_fields
    """What all of it says in the API's words, and what the door asks for besides. Raises Usage."""
    empty_files: bool = True
    """Whether a file part without a byte is a file; else it is what a browser sends for one that nobody chose."""


def make_offer(
    connection: Connection,
    principal: Principal,
    fields: Mapping[str, str],
    door_request: ImportRequest = EMPTY_REQUEST,
    *,
    door: Door,
    size: int | None = None,
    key: str | None = None,
    metadata: str = "",
) -> UploadOffer:
    """An upload as it was asked for, once it is certain that it may go where it names. Raises AccessDenied and Usage.

    `door_request` is what the door asks for that no name of the API says.
    """
    import_request = parse_import_request(fields, door_request)
    project_name = check_upload(principal, connection, import_request.project)
    project_id = None
    if project_name is not None:
        import_request = import_request.with_fields(project=project_name)
        project_id = connection.execute(select(project.c.id).where(project.c.name == project_name)).scalar_one()
    mapping = fields.get("mapping", "")
    projects = [project_name] if project_name is not None else []
    if mapping.strip():
        rows = parse_mapping(mapping, "")
        for name in dict.fromkeys(row.project for row in rows if row.project):
            check_upload(principal, connection, name)
            projects.append(name)
    assert principal.account_id is not None
    return UploadOffer(
        account_id=principal.account_id,
        door=door,
        filename=clean_filename(fields.get("filename", "")),
        request=import_request,
        project_id=project_id,
        projects=tuple(projects) if project_name is not None else (),
        mapping=mapping if mapping.strip() else "",
        size=size,
        idempotency_key=check_idempotency_key(key),
        metadata=metadata,
    )
