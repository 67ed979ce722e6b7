"""QIDO-RS: studies, series and instances that a query asks for, of those that somebody may see (PS3.18 10.6).

Studies are sought in SQL, one statement a page. What is below them is of a few studies, whose UIDs the query names:
their rows are read, and matched here. A study that several sessions have is listed once, with the series of all of
them; where two have the same, that of the archive's copy counts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, and_, exists, func, literal, or_, select, tuple_
from sqlalchemy.sql.selectable import FromClause

from scandock.access.visibility import studies_where
from scandock.catalog.engine import split_values
from scandock.catalog.tables import dicom_series, dicom_study
from scandock.catalog.tree_places import read_places
from scandock.catalog.trees import files_of_resources, find_objects
from scandock.model.dataclass import dataclass
from scandock.model.request_errors import RequestInvalid
from scandock.rules.dicom_attributes import MODALITIES, SERIES_UID, SOP_UID, STUDY_UID, Level
from scandock.rules.dicom_query import DicomQuery, Match, Range, glob_pattern, like_wildcards
from scandock.services.dicomweb import DicomwebScope

Values = dict[str, str]
"""Values of a result by tag."""

_STUDY: Final = {
    "00080020": dicom_study.c.date,
    "00080030": dicom_study.c.time,
    "00080050": dicom_study.c.accession,
    "00080061": dicom_study.c.modalities,
    "00080090": dicom_study.c.physician,
    "00080201": dicom_study.c.timezone,
    "00081030": dicom_study.c.description,
    "00100010": dicom_study.c.patient_name,
    "00100020": dicom_study.c.patient_id,
    "00100021": dicom_study.c.issuer,
    "00100030": dicom_study.c.birth_date,
    "00100040": dicom_study.c.sex,
    "0020000D": dicom_study.c.study_uid,
    "00200010": dicom_study.c.study_id,
    "00201206": dicom_study.c.series,
    "00201208": dicom_study.c.instances,
}
_SERIES: Final = {
    "00080021": dicom_series.c.date,
    "00080031": dicom_series.c.time,
    "00080060": dicom_series.c.modality,
    "0008103E": dicom_series.c.description,
    "0020000E": dicom_series.c.series_uid,
    "00200011": dicom_series.c.number,
    "00201209": dicom_series.c.instances,
    "00400244": dicom_series.c.step_date,
    "00400245": dicom_series.c.step_time,
    "00400275": dicom_series.c.requests,
}
_NAMES: Final = {
    "00100010": ("patient_alphabetic", "patient_ideographic", "patient_phonetic"),
    "00080090": ("physician_alphabetic", "physician_ideographic", "physician_phonetic"),
}
_SHOWN: Final = [dicom_study.c[name] for name in ("id", "tree_id", "session_id")] + [*_STUDY.values()]
_LAST_NUMBER: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class SearchPage:
    """The results of one page, and how many more there are behind it."""

    results: Sequence[Values]
    remaining: int


SeriesKey = tuple[str, str]
"""The UIDs of a study and of a series."""


class SeriesPart(NamedTuple):
    """What one scan of one session has of a series."""

    study: Row[Any]
    """Of `dicom_study`."""
    series: Row[Any]
    """Of `dicom_series`."""


# -- studies -----------------------------------------------------------------------------------------------------------


def search_studies(connection: Connection, scope: DicomwebScope, query: DicomQuery) -> SearchPage:
    """Studies, the newest first."""
    conditions = _study_conditions(connection, scope, query)
    if query.limit == 0:
        return SearchPage([], max(_count_studies(connection, conditions) - query.offset, 0))
    statement = (
        select(*_SHOWN)
        .where(*conditions)
        .order_by(dicom_study.c.date.desc(), dicom_study.c.time.desc(), dicom_study.c.id.desc())
        .limit(query.limit + 1)
        .offset(query.offset)
    )
    rows = connection.execute(statement).all()
    remaining = 0
    if len(rows) > query.limit:
        remaining = _count_studies(connection, conditions) - query.offset - query.limit
    return SearchPage(_unite_studies(connection, scope, rows[: query.limit]), max(remaining, 0))


def _count_studies(connection: Connection, conditions: Sequence[ColumnElement[bool]]) -> int:
    return connection.execute(select(func.count()).select_from(dicom_study).where(*conditions)).scalar_one()


def _study_conditions(connection: Connection, scope: DicomwebScope, query: DicomQuery) -> list[ColumnElement[bool]]:
    """Conditions on the row that stands for its study: the first one of it that may be seen."""
    is_sqlite = _is_sqlite(connection)
    first = dicom_study.alias("earlier")
    is_first = ~exists(
        select(first.c.id)
        .where(
            first.c.study_uid == dicom_study.c.study_uid,
            or_(
                first.c.place < dicom_study.c.place,
                and_(first.c.place == dicom_study.c.place, first.c.id < dicom_study.c.id),
            ),
            _is_visible(scope, first, by_study=is_sqlite),
        )
        .correlate(dicom_study)
    )
    matches = [_condition(dicom_study, match, is_sqlite=is_sqlite) for match in query.without(MODALITIES)]
    if (modalities := query.matches.get(MODALITIES.tag)) is not None:
        other = dicom_study.alias("other")
        having = _condition(other, modalities, is_sqlite=is_sqlite)
        matches.append(dicom_study.c.study_uid.in_(select(other.c.study_uid).where(having, _is_visible(scope, other))))
    return [_is_visible(scope, dicom_study), *matches, is_first]


def _is_sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"


def _is_visible(scope: DicomwebScope, table: FromClause, *, by_study: bool = False) -> ColumnElement[bool]:
    """Whether the session of a row is of the scope; `by_study`: of rows that the index of studies has to find.

    SQLite would else look through all studies of the project for each one. PostgreSQL goes by how many it expects,
    which it can't tell of a sum.
    """
    if scope.project_id is not None:
        number = table.c.project_id + 0 if by_study else table.c.project_id
        return and_(number == scope.project_id, table.c.place == "archive", table.c.session_id.is_not(None))
    return studies_where(scope.principal, table)


def _condition(table: FromClause, match: Match, *, is_sqlite: bool) -> ColumnElement[bool]:
    tag = match.attribute.tag
    column = table.c[_STUDY[tag].name]
    if match.range is not None:
        return _within(column, match.range)
    if tag in _NAMES:
        groups = [table.c[name] for name in _NAMES[tag]]
        if match.groups:
            pairs = zip(groups, match.groups, strict=False)
            return and_(*(_is_like(one, text, match, is_sqlite=is_sqlite) for one, text in pairs if text))
        return or_(*(_is_like(one, text, match, is_sqlite=is_sqlite) for one in groups for text in match.texts))
    if tag == MODALITIES.tag:
        listed = literal("\\").concat(column).concat("\\")
        return or_(*(_has_wild(listed, f"*\\{text}\\*", is_sqlite=is_sqlite) for text in match.texts))
    if match.wild and match.attribute.vr != "UI":
        return or_(*(_has_wild(column, text, is_sqlite=is_sqlite) for text in match.texts))
    return column.in_(match.texts)


def _within(column: ColumnElement[str], bounds: Range) -> ColumnElement[bool]:
    conditions: list[ColumnElement[bool]] = [column > ""]
    if bounds.first is not None:
        conditions.append(column >= bounds.first)
    if bounds.end is not None:
        conditions.append(column < bounds.end)
    return and_(*conditions)


def _is_like(column: ColumnElement[str], text: str, match: Match, *, is_sqlite: bool) -> ColumnElement[bool]:
    return _has_wild(column, text, is_sqlite=is_sqlite) if match.wild else column == text


def _has_wild(column: ColumnElement[str], pattern: str, *, is_sqlite: bool) -> ColumnElement[bool]:
    """Whether a text is as a pattern has it, in the case in which it is written."""
    if is_sqlite:
        return column.op("GLOB", is_comparison=True)(glob_pattern(pattern))
    return column.like(like_wildcards(pattern), escape="\\")


def _unite_studies(connection: Connection, scope: DicomwebScope, rows: Sequence[Row[Any]]) -> list[Values]:
    """The values of studies by the rows that stand for them, with counts and modalities of all their sessions."""
    parts = find_studies(connection, scope, [row.study_uid for row in rows])
    several = {uid: studies for uid, studies in parts.items() if len(studies) > 1}
    sums = _sum_studies(connection, several)
    return [{**_study_values(row), **sums.get(row.study_uid, {})} for row in rows]


def _study_values(row: Row[Any]) -> Values:
    return {tag: str(value) for tag, value in zip(_STUDY, tuple(row)[3:], strict=True)}


def _sum_studies(connection: Connection, several: Mapping[str, Sequence[Row[Any]]]) -> dict[str, Values]:
    """What is counted over all sessions of studies that have several."""
    if not several:
        return {}
    series = read_series(connection, [row for rows in several.values() for row in rows])
    instances = _count_instances(connection, series)
    sums: dict[str, Values] = {}
    for study_uid, rows in several.items():
        modalities = {modality for row in rows for modality in row.modalities.split("\\")}
        uids = [key for key in series if key[0] == study_uid]
        sums[study_uid] = {
            MODALITIES.tag: "\\".join(sorted(modalities - {""})),
            "00201206": str(len(uids)),
            "00201208": str(sum(instances[key] for key in uids)),
        }
    return sums


def find_studies(connection: Connection, scope: DicomwebScope, uids: Iterable[str]) -> dict[str, list[Row[Any]]]:
    """The rows of studies by their UIDs, one for each session: those of the archive first."""
    studies: dict[str, list[Row[Any]]] = defaultdict(list)
    for part in split_values(dict.fromkeys(uids)):
        query = (
            select(*_SHOWN)
            .where(dicom_study.c.study_uid.in_(part), _is_visible(scope, dicom_study, by_study=_is_sqlite(connection)))
            .order_by(dicom_study.c.place, dicom_study.c.id)
        )
        for row in connection.execute(query):
            studies[row.study_uid].append(row)
    return studies


# -- series ------------------------------------------------------------------------------------------------------------


def search_series(
    connection: Connection, scope: DicomwebScope, query: DicomQuery, study_uid: str | None = None
) -> SearchPage:
    """Series of a study, or of those that the query names, by study and number."""
    series = find_series(connection, scope, query, study_uid)
    every = list_series(connection, series)
    return cut_page(query, [values for values in every.values() if fits(query, values)])


@dataclass(frozen=True, slots=True)
class FoundSeries:
    """Series, and the studies that they are of."""

    studies: Mapping[str, Sequence[Row[Any]]]
    """By UID, a row for each session, those of the archive first."""
    parts: Mapping[SeriesKey, Sequence[SeriesPart]]
    """In order; of each first what the first session has."""


def find_series(
    connection: Connection,
    scope: DicomwebScope,
    query: DicomQuery,
    study_uid: str | None,
    series_uid: str | None = None,
) -> FoundSeries:
    """The series of a study, or that a query names by UIDs.

    RequestInvalid where neither names any: it would be all that there are.
    """
    named = {one: query.matches[one.tag].texts for one in (STUDY_UID, SERIES_UID, SOP_UID) if one.tag in query.matches}
    if study_uid is not None:
        uids: Iterable[str] = (study_uid,)
    elif STUDY_UID in named:
        uids = named[STUDY_UID]
    elif SERIES_UID in named:
        uids = _studies_of_series(connection, named[SERIES_UID])
    elif SOP_UID in named:
        uids = _studies_of_objects(connection, scope, named[SOP_UID])
    else:
        uids_named = "StudyInstanceUID or SeriesInstanceUID"
        if query.level is Level.INSTANCE:
            uids_named = "StudyInstanceUID, SeriesInstanceUID or SOPInstanceUID"
        raise RequestInvalid("The search names no UID.", f"Name a {uids_named}, or search below a study.")
    studies = find_studies(connection, scope, uids)
    every = read_series(connection, [row for rows in studies.values() for row in rows])
    only = (series_uid,) if series_uid is not None else named.get(SERIES_UID)
    keys = sorted((key for key in every if only is None or key[1] in only), key=lambda key: _order(every[key][0]))
    return FoundSeries(studies, {key: every[key] for key in keys})


def list_series(connection: Connection, series: FoundSeries) -> dict[SeriesKey, Values]:
    """The values of series and of their studies."""
    several = {uid: rows for uid, rows in series.studies.items() if len(rows) > 1}
    sums = _sum_studies(connection, several)
    studies = {uid: {**_study_values(rows[0]), **sums.get(uid, {})} for uid, rows in series.studies.items()}
    instances = _count_instances(connection, series.parts)
    return {
        key: {
            **studies[key[0]],
            **{tag: str(getattr(parts[0].series, column.name)) for tag, column in _SERIES.items()},
            "00201209": str(instances[key]),
        }
        for key, parts in series.parts.items()
    }


def _order(part: SeriesPart) -> tuple[Any, ...]:
    """Of series: that of studies, then by number."""
    study, series = part
    return (study.study_uid, number_order(series.number), series.series_uid)


def number_order(text: str) -> int:
    """A number to sort by, behind all of them where it is none."""
    return int(text) if text.isascii() and text.lstrip("+-").isdigit() and len(text) <= 13 else _LAST_NUMBER


def _studies_of_series(connection: Connection, uids: Iterable[str]) -> Sequence[str]:
    query = select(dicom_series.c.study_uid).where(dicom_series.c.series_uid.in_(uids)).distinct()
    return connection.execute(query).scalars().all()


def _studies_of_objects(connection: Connection, scope: DicomwebScope, uids: Iterable[str]) -> Sequence[str]:
    """The studies in which objects are, of those that may be seen."""
    resources: dict[int, set[int]] = defaultdict(set)
    for tree_id, row in find_objects(connection, frozenset(uids)):
        resources[tree_id].add(row.resource_n)
    scans: set[tuple[int, int]] = set()
    for tree_id, numbers in resources.items():
        places = read_places(connection, tree_id)
        for number in numbers & places.keys():
            scan_n = places[number].scan_n
            if scan_n is not None:
                scans.add((tree_id, scan_n))
    studies: set[str] = set()
    for part in split_values(scans):
        query = (
            select(dicom_series.c.study_uid)
            .join(
                dicom_study,
                and_(
                    dicom_study.c.tree_id == dicom_series.c.tree_id, dicom_study.c.study_uid == dicom_series.c.study_uid
                ),
            )
            .where(
                tuple_(dicom_series.c.tree_id, dicom_series.c.n).in_(part),
                _is_visible(scope, dicom_study, by_study=_is_sqlite(connection)),
            )
        )
        studies.update(connection.execute(query).scalars())
    return sorted(studies)


def read_series(connection: Connection, studies: Sequence[Row[Any]]) -> dict[SeriesKey, list[SeriesPart]]:
    """The series of rows of studies, by their study's UID and their own; of each first what the first session has."""
    by_tree = {(row.tree_id, row.study_uid): (n, row) for n, row in enumerate(studies)}
    parts: list[tuple[int, SeriesPart]] = []
    for trees in split_values({row.tree_id for row in studies}):
        query = select(dicom_series).where(dicom_series.c.tree_id.in_(trees)).order_by(dicom_series.c.n)
        for row in connection.execute(query):
            study = by_tree.get((row.tree_id, row.study_uid))
            if study is not None:
                parts.append((study[0], SeriesPart(study[1], row)))
    series: dict[SeriesKey, list[SeriesPart]] = defaultdict(list)
    for _, part in sorted(parts, key=lambda pair: pair[0]):
        series[part.series.study_uid, part.series.series_uid].append(part)
    return series


def _count_instances(connection: Connection, series: Mapping[SeriesKey, Sequence[SeriesPart]]) -> dict[SeriesKey, int]:
    """The instances of series, those that several sessions have counted once."""
    scans: dict[int, dict[int, SeriesKey]] = defaultdict(dict)
    for key, parts in series.items():
        if len(parts) > 1:
            for part in parts:
                scans[part.series.tree_id][part.series.n] = key
    uids: dict[SeriesKey, set[str]] = defaultdict(set)
    for tree_id, keys in scans.items():
        places = read_places(connection, tree_id)
        resources = {n: keys[place.scan_n] for n, place in places.items() if place.scan_n in keys}
        for row in files_of_resources(connection, tree_id, resources):
            if row.sop_uid is not None:
                uids[resources[row.resource_n]].add(row.sop_uid)
    return {key: parts[0].series.instances if len(parts) == 1 else len(uids[key]) for key, parts in series.items()}


def fits(query: DicomQuery, values: Values) -> bool:
    """Whether values are as a query has them."""
    return all(match.accepts(values.get(tag, "")) for tag, match in query.matches.items())


def cut_page(query: DicomQuery, found: Sequence[Values]) -> SearchPage:
    """The part of all results that a query asks for."""
    end = query.offset + query.limit
    return SearchPage(found[query.offset : end], max(len(found) - end, 0))
