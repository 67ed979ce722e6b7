"""Import filters tried on a file's header or on pasted values: taken or left out, and the line that decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field
from sqlalchemy import Connection

from scandock.model.dataclass import dataclass
from scandock.model.json_records import JsonRecord
from scandock.model.tags import NUMBERS
from scandock.pipeline.entry_filter import filtered_texts
from scandock.rules.permissions import Action
from scandock.rules.routing_trial import element_name
from scandock.rules.series_filters import MAX_VALUE, FilterText, SeriesFilter, parse_filter
from scandock.services import rights
from scandock.services.import_filters import find_filter
from scandock.services.sample_headers import SampleUnreadable, parse_pasted, read_sample

if TYPE_CHECKING:
    from scandock.access.principal import Principal
    from scandock.rules.series_filters import FilterDecision

_CHARSET: Final = NUMBERS["SpecificCharacterSet"]


@dataclass(frozen=True, kw_only=True)
class FilterValue(JsonRecord):
    """An element that a filter looks at."""

    element: Annotated[str, Field(description="With its keyword")]
    value: Annotated[str | None, Field(description="What the header has there; null where it lacks the element")]


@dataclass(frozen=True, kw_only=True)
class FilterTest(JsonRecord):
    """What filters say of one header."""

    NESTED = ("values",)

    accepted: Annotated[bool, Field(description="Whether an import takes the image")]
    filter: Annotated[str, Field(description="Whose filter decides: site, project, or empty where none leaves it out")]
    rule: Annotated[str, Field(description="What decides: `line 3`, the name of a condition, or `no line matches`")]
    tested: Annotated[str, Field(description="What decides in the filter that is tested, whatever the site's says")]
    tested_accepts: bool
    values: list[FilterValue]


def try_filter(
    connection: Connection,
    principal: Principal,
    project_name: str | None,
    text: FilterText | None,
    *,
    file: bytes = b"",
    values: str = "",
) -> FilterTest:
    """Try a filter on a DICOM file or on pasted values; `text` in the place of the one that is set.

    A project's is asked together with the site's, where that is switched on, as an import does.

    AccessDenied. Usage `filter_unreadable`, `sample_unreadable`.
    """
    action = Action.SITE_ADMIN if project_name is None else Action.SETTINGS_EDIT
    rights.check(connection, principal, action, project_name)
    own = text or find_filter(connection, principal, project_name).text
    if not own.mode:
        raise SampleUnreadable("There is no filter to try.", "Set one, or write the one to be tried.")
    filters: list[tuple[str, SeriesFilter]] = []
    if project_name is not None and (site := find_filter(connection, principal, None)).enabled:
        filters.append(("site", parse_filter(site.text)))
    filters.append(("site" if project_name is None else "project", parse_filter(own)))
    tags = frozenset[int]().union(*(one.tags for _, one in filters))
    texts = _read_texts(tags, file, values)
    decisions = [(whose, one.decide(texts)) for whose, one in filters]
    whose, decision = next((one for one in decisions if not one[1].accepted), ("", decisions[-1][1]))
    return _result(whose, decision, decisions[-1][1], texts, tags)


def _read_texts(tags: frozenset[int], file: bytes, values: str) -> dict[int, str]:
    if file:
        return filtered_texts(read_sample(file, tags | {_CHARSET}), sorted(tags))
    if values.strip():
        return {tag: text[:MAX_VALUE] for tag, text in parse_pasted(values).items()}
    raise SampleUnreadable("There is nothing to try the filter on.", "Choose a file or paste values.")


def _result(
    whose: str, decision: FilterDecision, tested: FilterDecision, texts: dict[int, str], tags: frozenset[int]
) -> FilterTest:
    return FilterTest(
        accepted=decision.accepted,
        filter=whose,
        rule=decision.rule,
        tested=tested.rule,
        tested_accepts=tested.accepted,
        values=[FilterValue(element=element_name(tag), value=texts.get(tag)) for tag in sorted(tags)],
    )
