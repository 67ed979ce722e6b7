"""What clients of the XNAT dialect say of a project: its description, its principal investigator, its other names.

They say it by bare names (`description`, `pi_lastname`, `alias`) or by paths into XNAT's documents
(`xnat:projectData/PI/lastname`, `xnat:projectData/aliases/alias/alias`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import field
from hashlib import sha256
from types import MappingProxyType
from typing import Final

from scandock.model.dataclass import dataclass
from scandock.model.request_errors import ValueInvalid
from scandock.model.request_limits import PROJECT_ALIAS
from scandock.rules.permissions import Accessibility
from scandock.rules.session_fields import check_text, rejoin_pairs

PI_FIELDS: Final = ("title", "firstname", "lastname", "institution", "department", "email", "phone", "ID")
"""What is said of a principal investigator, in the order of a document."""
PI_NAMES: Final = ("title", "firstname", "lastname")
"""Those that are the investigator's name, in the order in which people read it."""
PROJECT_FIELDS: Final = MappingProxyType(
    {name.lower(): name for name in ("secondary_ID", "description", "keywords", *(f"PI/{name}" for name in PI_FIELDS))}
)
"""By their lower-case names."""
PUBLIC_FIELDS: Final = frozenset(
    {"secondary_ID", "description", "keywords", "PI/title", "PI/firstname", "PI/lastname", "PI/institution"}
)
"""What whoever sees a project's title sees; the rest is for those who may read the project."""
MAX_ALIAS: Final = PROJECT_ALIAS
_TYPE: Final = "xnat:projectdata/"
_PREDICATE: Final = re.compile(r"\[[^\[\]]*\]")
_ALIASES: Final = frozenset({"alias", "aliases/alias", "aliases/alias/alias"})
_NO_ALIAS: Final = re.compile(r"[\x00-\x1f\x7f/,~]")


def name_key(text: str) -> str:
    """By what a project's title or secondary ID is found in any case, however long it is; empty for an empty one."""
    folded = text.strip().casefold()
    return sha256(folded.encode(errors="surrogatepass")).hexdigest() if folded else ""


@dataclass(frozen=True, slots=True)
class ProjectChanges:
    """What one request says of a project; an empty text takes a value back."""

    title: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    """To be given besides those that it has."""
    no_aliases: bool = False
    """Whether those that it has are taken back first."""
    accessibility: Accessibility | None = None


def parse_project_fields(pairs: Iterable[tuple[str, str]]) -> ProjectChanges:
    """What a query, or a document, says of a project. Usage `value_invalid`."""
    title, accessibility, no_aliases = "", None, False
    fields: dict[str, str] = {}
    aliases: dict[str, str] = {}
    for key, value in rejoin_pairs(pairs):
        name = _PREDICATE.sub("", key).lower().removeprefix(_TYPE)
        name = f"pi/{name.removeprefix('pi_')}" if name.startswith("pi_") else name
        if name == "name":
            title = check_text("name", value) or title
        elif name == "accessibility":
            accessibility = _accessibility(value)
        elif name in _ALIASES:
            alias = _alias(value)
            no_aliases = no_aliases or not alias
            aliases |= {alias.casefold(): alias} if alias else {}
        elif name in PROJECT_FIELDS:
            fields[PROJECT_FIELDS[name]] = check_text(PROJECT_FIELDS[name], value)
    return ProjectChanges(title, fields, tuple(aliases.values()), no_aliases, accessibility)


def _accessibility(value: str) -> Accessibility | None:
    """Who sees a project without a role in it; None where nothing is said. Usage `value_invalid`."""
    text = value.strip().lower()
    if not text:
        return None
    if text not in set(Accessibility):
        raise ValueInvalid(
            f"accessibility can't be {value[:40]!r}.",
            f"Right is {', '.join(Accessibility)}.",
        )
    return Accessibility(text)


def _alias(value: str) -> str:
    """A name that stands in addresses in the place of a project's id. Usage `value_invalid`."""
    alias = check_text("alias", value)
    if max(len(alias), len(alias.casefold())) > MAX_ALIAS or _NO_ALIAS.search(alias) or alias in (".", ".."):
        raise ValueInvalid(
            f"{alias[:40]!r} can't be the alias of a project.",
            f"An alias has at most {MAX_ALIAS} characters, no slash, no comma, no ~ and no line break.",
        )
    return alias
