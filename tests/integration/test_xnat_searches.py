"""Searches by XNAT's dialect: what may be searched, rows by criteria of every kind, for who may, in one statement."""

from __future__ import annotations

import contextlib
import csv
import io
import re
from collections.abc import Iterator, Sequence
from itertools import cycle, product
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import httpx
import pytest
from sqlalchemy import Connection, insert, select, update

from scandock.access.principal import SYSTEM, Door, Principal
from scandock.catalog.engine import Catalog, open_catalog
from scandock.catalog.server_tables import account, member
from scandock.catalog.tables import project, scan, session
from scandock.model.errors import Usage
from scandock.queue.tokens import new_uuid
from scandock.rules.permissions import Role
from scandock.web.xnat.services.columns import Rows
from scandock.web.xnat.services.search_bundle import parse_bundle
from scandock.web.xnat.services.search_conditions import COMPARISONS
from scandock.web.xnat.services.search_queries import list_elements, search
from tests.builders import DataFolder, images, make_data_folder, uploader_layout
from tests.integration.many_rows import seed, seed_scans
from tests.integration.test_browsing import ask, counted
from tests.integration.web import Web, serve_in_process

pytestmark = pytest.mark.long

MR = "xnat:mrSessionData"
SUBJECT = "xnat:subjectData"
PROJECT = "xnat:projectData"
SCAN = "xnat:mrScanData"
Criteria = Sequence[Any]


def criteria(said: Criteria) -> str:
    """As pyxnat takes criteria: tuples, lists of them, and how they are joined."""
    made = ""
    for one in said:
        if isinstance(one, tuple):
            field, comparison, value = (escape(part) for part in one)
            made += (
                f"<xdat:criteria><xdat:schema_field>{field}</xdat:schema_field>"
                f"<xdat:comparison_type>{comparison}</xdat:comparison_type><xdat:value>{value}</xdat:value>"
                "</xdat:criteria>"
            )
        elif isinstance(one, list):
            made += f'<xdat:child_set method="{method(one)}">{criteria(one)}</xdat:child_set>'
    return made


def method(said: Criteria) -> str:
    return next((one for one in said if isinstance(one, str)), "AND")


def bundle(root: str, columns: Sequence[str] = (), where: Criteria = ()) -> bytes:
    """A search as pyxnat writes it."""
    fields = "".join(
        "<xdat:search_field><xdat:element_name>{}</xdat:element_name><xdat:field_ID>{}</xdat:field_ID>"
        "</xdat:search_field>".format(*one.split("/", 1))
        for one in columns
    )
    return (
        '<xdat:bundle xmlns:xdat="http://nrg.wustl.edu/security">'
        f"<xdat:root_element_name>{root}</xdat:root_element_name>{fields}"
        f'<xdat:search_where method="{method(where)}">{criteria(where)}</xdat:search_where></xdat:bundle>'
    ).encode()


# -- rows of a catalog -------------------------------------------------------------------------------------------------


@pytest.fixture
def catalog(database_url: str) -> Iterator[Catalog]:
    """Two projects, of eight and four MR sessions; one of the first is CT, and one has an age of 9."""
    made = open_catalog(database_url)
    seed(made, 8, name="P")
    seed(made, 4, name="Q")
    seed_scans(made, 2)
    with made.write() as connection:
        for number, attributes, kind in (
            (1, '{"date": "2021-05-06", "age": "9", "modality": "CT"}', "xnat:ctSessionData"),
            (2, '{"date": "2019-01-02", "age": "042", "note": "50% _of_ \\"it\\""}', MR),
            (3, '{"age": "unknown"}', MR),
        ):
            connection.execute(
                update(session).where(session.c.id == number).values(attributes=attributes, xsi_type=kind)
            )
        connection.execute(update(session).where(session.c.id == 4).values(created=1_767_225_600_000))  # 2026-01-01
    yield made
    made.dispose()


def found(catalog: Catalog, root: str, where: Criteria = (), columns: Sequence[str] = (), who: Any = SYSTEM) -> Rows:
    rows: Rows = ask(catalog, lambda c: search(c, who, parse_bundle(bundle(root, columns, where))))
    return rows


def labels(catalog: Catalog, *where: Any, root: str = "xnat:imageSessionData", project: str = "P") -> list[int]:
    """The numbers in the labels of the sessions of a project that a search finds."""
    both = [(f"{root}/PROJECT", "=", project), list(where), "AND"]
    return [int((row[0] or "")[-2:]) for row in found(catalog, root, both, [f"{root}/LABEL"]).rows]


TEXTS: list[tuple[str, str, list[int]]] = [  # comparison, value, numbers of the sessions
    ("=", "Sess_00002", [2]),
    ("!=", "Sess_00002", [0, 1, 3, 4, 5, 6, 7]),
    ("=", "sess_00002", []),
    ("LIKE", "%00002", [2]),
    (" LIKE ", "sess_0000_", []),
    ("like", "sESS*", [0, 1, 2, 3, 4, 5, 6, 7]),
    ("NOT LIKE", "%2", [0, 1, 3, 4, 5, 6, 7]),
    ("IN", "Sess_00002,Sess_00003, none", [2, 3]),
    ("IN", "('Sess_00002','Sess_00003')", [2, 3]),
    ("NOT IN", "Sess_00002", [0, 1, 3, 4, 5, 6, 7]),
    (">=", "Sess_00006", [6, 7]),
    ("<", "Sess_00001", [0]),
    ("BETWEEN", "Sess_00001 AND Sess_00002", [1, 2]),
    ("IS NULL", "", []),
    ("IS", "NOT NULL", [0, 1, 2, 3, 4, 5, 6, 7]),
]


@pytest.mark.postgresql
def test_texts_are_compared(catalog: Catalog, subtests: pytest.Subtests) -> None:
    for comparison, value, right in TEXTS:
        with subtests.test(comparison=comparison, value=value):
            assert labels(catalog, ("xnat:imageSessionData/LABEL", comparison, value)) == right


FIELDS: list[tuple[str, str, str, list[int]]] = [  # field, comparison, value, numbers of the sessions
    ("AGE", "=", "42", [1]),
    ("AGE", ">", "8.5", [0, 1]),
    ("AGE", "<=", "9", [0]),
    ("AGE", "!=", "9", [1, 2, 3, 4, 5, 6, 7]),
    ("AGE", "BETWEEN", "9 AND 41.5", [0]),
    ("AGE", "LIKE", "unk%", [2]),
    ("AGE", "IS NULL", "", [3, 4, 5, 6, 7]),
    ("AGE", "IN", "9,42", [0, 1]),
    ("AGE", "LIKE", "%", [0, 1, 2]),
    ("DATE", "=", "2021-05-06", [0]),
    ("DATE", ">", "01/30/2020", [0, 3, 4, 5, 6, 7]),
    ("DATE", "<", "2020-01-31", [1]),
    ("DATE", "IS NULL", "", [2]),
    ("DATE", "BETWEEN", "2019-01-01 AND 2019-12-31", [1]),
    ("DATE", "LIKE", "2019-%", [1]),
    ("INSERT_DATE", "=", "2026-01-01", [3]),
    ("INSERT_DATE", ">", "2025-12-31 23:59:59", [3]),
    ("INSERT_DATE", "<=", "1970-01-01", [0, 1, 2, 4, 5, 6, 7]),
    ("INSERT_DATE", "LIKE", "2026%", [3]),
    ("INSERT_DATE", "LIKE", "2026-01-%", [3]),
    ("NOTE", "LIKE", "50%%_of_%", [1]),
    ("NOTE", "=", '50% _of_ "it"', [1]),
    ("ID", "LIKE", "%E00002", [1]),
    ("SESSION_ID", "=", "XNAT_E00002", [1]),
    ("SESSION_ID", "!=", "XNAT_E00002", [0, 2, 3, 4, 5, 6, 7]),
    ("SESSION_ID", "IN", "XNAT_E00001,XNAT_E00002,none", [0, 1]),
    ("SESSION_ID", "=", "none", []),
    ("SUBJECT_LABEL", "=", "Sub1", [1, 3, 5, 7]),
    ("scans/scan/type", "=", "T1", [0, 1, 2, 3, 4, 5, 6, 7]),
    ("scans/scan/type", "=", "T9", []),
]


@pytest.mark.postgresql
def test_fields_are_compared_by_what_they_are(catalog: Catalog, subtests: pytest.Subtests) -> None:
    for field, comparison, value, right in FIELDS:
        with subtests.test(field=field, comparison=comparison, value=value):
            assert labels(catalog, (f"xnat:imageSessionData/{field}", comparison, value)) == right


@pytest.mark.postgresql
def test_criteria_are_joined_at_every_depth(catalog: Catalog) -> None:
    first, second, third = ((f"{MR}/LABEL", "=", f"Sess_0000{n}") for n in (4, 5, 6))
    assert labels(catalog, first, second, "OR", root=MR) == [4, 5]
    assert labels(catalog, first, second, "AND", root=MR) == []
    assert labels(catalog, first, [second, (f"{MR}/AGE", "IS NULL", ""), "AND"], "OR", root=MR) == [4, 5]
    assert labels(catalog, [first, [third, "OR"], "OR"], (f"{MR}/LABEL", "LIKE", "%6"), "AND", root=MR) == [6]
    assert labels(catalog, [], "AND", root=MR) == [1, 2, 3, 4, 5, 6, 7]
    assert labels(catalog, ["OR"], "AND", root=MR) == []  # none of nothing: what pyxnat asks after an empty search


@pytest.mark.postgresql
def test_types_narrow_and_abstract_ones_are_all(catalog: Catalog) -> None:
    every = list(range(8))
    assert labels(catalog, root=MR) == every[1:]
    assert labels(catalog, root="xnat:ctSessionData") == [0]
    assert labels(catalog, root="xnat:petSessionData") == []
    for root in ("xnat:imageSessionData", "xnat:experimentData", "xnat:subjectAssessorData"):
        assert labels(catalog, root=root) == every
    assert labels(catalog, ("xnat:ctSessionData/LABEL", "LIKE", "%")) == [0]
    assert labels(catalog, ("xnat:ctSessionData/LABEL", "LIKE", "%"), root=MR) == [2, 4, 6]  # of the same subject
    assert labels(catalog, ("xnat:mrScanData/type", "=", "T1"), root=MR) == every[1:]
    assert labels(catalog, ("xnat:ctScanData/type", "=", "T1"), root=MR) == []


@pytest.mark.postgresql
def test_criteria_of_other_kinds_hold_for_what_goes_with_a_row(catalog: Catalog) -> None:
    of = [f"{SUBJECT}/SUBJECT_LABEL", f"{SUBJECT}/PROJECT"]
    (row,) = found(catalog, SUBJECT, [("xnat:ctSessionData/AGE", "=", "9")], of).rows
    assert list(row)[:2] == ["Sub0", "P"]
    assert len(found(catalog, SUBJECT, [(f"{PROJECT}/ID", "=", "Q")], of).rows) == 1
    assert [row[0] for row in found(catalog, PROJECT, [(f"{SUBJECT}/SUBJECT_LABEL", "=", "Sub1")]).rows] == ["P"]
    assert [row[0] for row in found(catalog, PROJECT, [(f"{MR}/LABEL", "=", "Sess_00002")]).rows] == ["P", "Q"]
    assert labels(catalog, (f"{SUBJECT}/SUBJECT_LABEL", "=", "Sub1"), root=MR) == [1, 3, 5, 7]
    assert labels(catalog, (f"{SUBJECT}/ID", "IN", "XNAT_S00001"), root=MR) == [2, 4, 6]
    assert labels(catalog, (f"{PROJECT}/PROJ_MR_COUNT", ">", "6"), root=MR) == [1, 2, 3, 4, 5, 6, 7]
    assert labels(catalog, (f"{PROJECT}/PROJ_MR_COUNT", ">", "7"), root=MR) == []


@pytest.mark.postgresql
def test_scans_are_searched_by_their_fields_and_by_those_of_what_they_are_in(catalog: Catalog) -> None:
    """Two of each session, `T0` and `T1`; rows are scans, and have their session's fields and its subject's."""
    scans = "xnat:mrScanData"
    asked = [f"{scans}/ID", f"{scans}/TYPE", f"{scans}/parameters/tr", f"{MR}/LABEL", f"{SUBJECT}/SUBJECT_LABEL"]
    with catalog.write() as connection:
        chosen = connection.execute(select(session.c.tree_id).where(session.c.label == "Sess_00004")).scalars().first()
        said = '{"parameters/tr": "2300", "series_description": "T1"}'
        connection.execute(update(scan).where(scan.c.tree_id == chosen, scan.c.n == 0).values(attributes=said))
        other = connection.execute(select(session.c.tree_id).where(session.c.label == "Sess_00005")).scalars().first()
        connection.execute(update(scan).where(scan.c.tree_id == other).values(xsi_type="xnat:ctScanData"))
    rows = found(catalog, scans, [(f"{scans}/parameters/TR", ">", "2000")], asked)
    assert rows.names == [
        "id", "type", "parameters/tr", "xnat_mrsessiondata_label", "xnat_subjectdata_subject_label", "session_id",
        "project",
    ]  # fmt: skip
    assert [list(row) for row in rows.rows] == [["1", "T0", "2300", "Sess_00004", "Sub0", "XNAT_E00005", "P"]]

    def numbers(root: str, *where: Any) -> list[tuple[str, str]]:
        both = [(f"{root}/PROJECT", "=", "P"), list(where), "AND"]
        told = found(catalog, root, both, [f"{root}/SESSION_LABEL", f"{root}/ID"])
        return [(row[0] or "", row[1] or "") for row in told.rows]

    assert len(numbers("xnat:imageScanData")) == 16
    assert len(numbers(scans)) == 14
    assert numbers("xnat:ctScanData") == [("Sess_00005", "1"), ("Sess_00005", "2")]
    assert numbers("xnat:petScanData") == []
    assert numbers(scans, (f"{scans}/TYPE", "=", "T1"), (f"{MR}/LABEL", "LIKE", "%7")) == [("Sess_00007", "2")]
    assert numbers(scans, ("xnat:ctSessionData/LABEL", "LIKE", "%")) == [("Sess_00000", "1"), ("Sess_00000", "2")]
    assert numbers(scans, (f"{SUBJECT}/SUBJECT_LABEL", "=", "Sub1"), (f"{scans}/ID", "=", "2")) == [
        ("Sess_00001", "2"), ("Sess_00003", "2"), ("Sess_00007", "2"),
    ]  # fmt: skip
    assert numbers(scans, ("xnat:ctScanData/TYPE", "=", "T1")) == []
    assert numbers(scans, (f"{PROJECT}/ID", "=", "Q")) == []
    assert [row[0] for row in found(catalog, MR, [("xnat:ctScanData/SESSION_LABEL", "=", "Sess_00005")]).rows] == [
        "XNAT_E00006"
    ]
    assert found(catalog, scans, (), [f"{scans}/ID"], who=somebody(catalog)).rows == []


@pytest.mark.postgresql
def test_nothing_is_shared(catalog: Catalog) -> None:
    """Scripts ask for what is of a project or shared with it, as XNAT's default searches do."""
    for root in (MR, SUBJECT, "xnat:mrScanData", "xnat:imageSessionData"):
        shared = (f"{root}/sharing/share/project", "=", "P")
        own = (f"{root}/PROJECT", "=", "P")
        assert found(catalog, root, [shared]).rows == []
        assert len(found(catalog, root, [[shared, own, "OR"]]).rows) == len(found(catalog, root, [own]).rows) > 0
        assert found(catalog, root, [(f"{root}/sharing/share/project", "LIKE", "%")]).rows == []


def test_headers_are_ids_in_lower_case_and_keys_are_never_left_out(catalog: Catalog) -> None:
    asked = [f"{MR}/LABEL", f"{SUBJECT}/SUBJECT_LABEL", f"{PROJECT}/NAME", f"{MR}/{MR}/subject_id", "x:y/Z", f"{MR}/no"]
    rows = found(catalog, MR, [(f"{MR}/LABEL", "=", "Sess_00002"), (f"{MR}/PROJECT", "=", "P")], asked)
    assert rows.names == [
        "label", "xnat_subjectdata_subject_label", "xnat_projectdata_name", "subject_id", "x_y_z", "no",
        "session_id", "project",
    ]  # fmt: skip
    assert [list(row) for row in rows.rows] == [
        ["Sess_00002", "Sub0", "", "XNAT_S00001", "", "", "XNAT_E00003", "P"],
    ]
    rows = found(catalog, SUBJECT, [(f"{SUBJECT}/ID", "=", "XNAT_S00001")])
    assert {"project", "subject_id", "subjectid", "gender_text", "insert_date"} <= set(rows.names)
    (row,) = rows.rows
    said = dict(zip(rows.names, row, strict=True))
    assert (said["subject_label"], said["gender_text"], said["dob"] or "") == ("Sub0", "", "")


REFUSED: list[tuple[str, list[str], Criteria, str]] = [  # root, columns, criteria, what the message says
    ("xnat:qcAssessmentData", [], [], "xnat:qcAssessmentData can't be searched"),
    ("xnat:mrScanData", ["xnat:ctScanData/TYPE"], [], "TYPE can't be a column of"),
    (MR, [], [(f"{MR}/NOTHING", "=", "1")], "/NOTHING is no field"),
    (MR, [], [("xnat:qcAssessmentData/ID", "=", "1")], "xnat:qcassessmentdata/ID is no field"),
    (MR, [], [(f"{MR}/LABEL", "RESEMBLES", "1")], "LABEL is compared by 'RESEMBLES'"),
    (MR, [], [(f"{MR}/AGE", ">", "old")], "AGE is compared with 'old'"),
    (MR, [], [(f"{MR}/DATE", ">", "2020-13-01")], "DATE is compared with '2020-13-01'"),
    (MR, [], [(f"{MR}/INSERT_DATE", "=", "9999-12-31 25:00")], "INSERT_DATE is compared with"),
    (MR, [], [(f"{MR}/INSERT_DATE", "LIKE", "9999%")], "INSERT_DATE is compared with"),
    (SUBJECT, [f"{MR}/LABEL"], [], "LABEL can't be a column of xnat:subjectData"),
    (MR, ["xnat:ctSessionData/LABEL"], [], "LABEL can't be a column of"),
    (MR, [f"{PROJECT}/PROJ_MR_COUNT"], [], "PROJ_MR_COUNT can't be a column of"),
    (MR, [f"{MR}/scans/scan/type"], [], "is a column of scans"),
    (MR, [], [(f"{MR}/LABEL", "LIKE", f"{n}%") for n in range(101)], "more than 100 criteria"),
    (MR, [], [(f"{SUBJECT}/RACE", "LIKE", f"{n}%") for n in range(11)], "those of another type count 10"),
]


def test_what_can_not_be_searched_is_named(catalog: Catalog, subtests: pytest.Subtests) -> None:
    for root, columns, where, named in REFUSED:
        with subtests.test(root=root, columns=columns, named=named):
            with pytest.raises(Usage, match=re.escape(named)) as refusal:
                found(catalog, root, where, columns)
            assert refusal.value.code == "request_invalid"
            assert refusal.value.remedy


ODD = (
    "", "%", "\\", "'); DROP TABLE session; --", "1" * 400, "-1e9", "9" * 15, "2026-11-24 05:44:32.5", "0000-00-00",
    "12/31/9999", "9999-12%", "%" * 40 + "x", "XNAT_E999999999999999999", "a AND b", "1 AND 2",
    "2026-01-01 AND 2026-02-01", " AND ", "(", "'", "\U0001f600", "x" * 9999,
)  # fmt: skip


# A field of each kind: a number behind a letter, a text, a date, a number and a time, those of scans, of subjects, of
# their demographics, of projects, of their owners, and counts. PostgreSQL sees each kind of SQL once;
# a field of the same kind as another sees each value and each comparison, not each of both.
BY_KIND = (
    f"{MR}/SESSION_ID", f"{MR}/LABEL", f"{MR}/DATE", f"{MR}/AGE", f"{MR}/INSERT_DATE", f"{MR}/scans/scan/frames",
    f"{SUBJECT}/DOB", f"{PROJECT}/PROJECT_OWNERS", f"{PROJECT}/PROJ_MR_COUNT",
)  # fmt: skip
OF_THE_SAME_KIND = (
    f"{MR}/SUBJECT_ID", f"{MR}/INSERT_USER", f"{SUBJECT}/GENDER_TEXT",
    f"{SUBJECT}/demographics[@xsi:type=xnat:demographicData]/height", f"{PROJECT}/PROJECT_ACCESS",
)  # fmt: skip
READ_AS = {"!=": "=", ">": "<", "<=": "<", ">=": "<", "NOT LIKE": "LIKE", "NOT IN": "IN"}
"""Comparisons that read a value as another does, and make the same SQL of it but for a word."""


@pytest.mark.postgresql
def test_no_value_is_more_than_a_value(catalog: Catalog, subtests: pytest.Subtests) -> None:
    """Whatever is compared is found, not found, or refused by name: never a fault of the database.

    Of the comparisons that read a value alike, one sees them all, and the others what that one took first and last.
    """
    with catalog.write() as connection:
        connection.execute(update(session).where(session.c.id == 3).values(attributes=f'{{"age": "{"9" * 400}"}}'))
    who = somebody(catalog, P="owner")
    with catalog.read() as connection:

        def taken(field: str, comparison: str, values: Sequence[str]) -> list[str]:
            return [value for value in values if takes(connection, who, (field, comparison, value))]

        for field in BY_KIND:
            with subtests.test(field=field):
                answered = {
                    one: taken(field, one, ODD) for one in COMPARISONS if one not in READ_AS and "NULL" not in one
                }
                answered |= {one: taken(field, one, ODD[:1]) for one in COMPARISONS if "NULL" in one}
                for one, other in READ_AS.items():
                    known = answered[other]
                    refused = [value for value in ODD if value not in known]
                    answered[one] = taken(field, one, [*known[:1], *known[-1:], *refused[:1], *refused[-1:]])
                assert answered.keys() == set(COMPARISONS)
                assert all(answered.values()), "each comparison takes some of them"
        for field in OF_THE_SAME_KIND if catalog.sqlite else ():
            with subtests.test(field=field):
                for comparison, value in zip(cycle(COMPARISONS), ODD, strict=False):
                    takes(connection, who, (field, comparison, value))


def takes(connection: Connection, who: Principal, criterion: tuple[str, str, str]) -> bool:
    """Whether a search by this criterion is answered; it is refused by name otherwise."""
    asked = parse_bundle(bundle(MR, [f"{MR}/LABEL"], [criterion]))
    try:
        search(connection, who, asked)
    except Usage:
        return False
    return True


@pytest.mark.postgresql
def test_many_values_of_one_field_are_one_comparison(catalog: Catalog) -> None:
    """As pyxnat's `subjects().where()` asks: one criterion for each session that an earlier search found."""
    many = [(f"{SUBJECT}/SUBJECT_ID", "=", f"XNAT_S{n:05}") for n in range(2, 8000)]
    assert len(found(catalog, SUBJECT, [[*many, "OR"], "AND"]).rows) == 2
    same = [(f"{MR}/LABEL", "=", f"Sess_{n:05}") for n in range(5, 8000)]
    assert labels(catalog, *same, "OR", root=MR) == [5, 6, 7]


# -- who may, and the cost ---------------------------------------------------------------------------------------------


def somebody(catalog: Catalog, **roles: str) -> Principal:
    """An account with roles by project."""
    with catalog.write() as connection:
        number = connection.execute(
            insert(account)
            .values(uuid=new_uuid(), name="ann", key=new_uuid(), created=1, modified=1)
            .returning(account.c.id)
        ).scalar_one()
        for name, role in roles.items():
            of = connection.execute(select(project.c.id).where(project.c.name == name)).scalar_one()
            connection.execute(insert(member).values(project_id=of, account_id=number, role=role))
    known = {name: Role(role) for name, role in roles.items()}
    return Principal(account_id=number, uuid="u", name="ann", door=Door.BASIC, roles=known)


@pytest.mark.postgresql
def test_searches_find_what_one_may_see_alone(catalog: Catalog) -> None:
    ann = somebody(catalog, Q="collaborator")
    assert {row[0] for row in found(catalog, MR, [], [f"{MR}/PROJECT"], ann).rows} == {"Q"}
    assert {row[0] for row in found(catalog, SUBJECT, [], [f"{SUBJECT}/PROJECT"], ann).rows} == {"Q"}
    assert [row[0] for row in found(catalog, PROJECT, [], [f"{PROJECT}/ID"], ann).rows] == ["Q"]
    hidden = [("xnat:ctSessionData/AGE", "=", "9"), (f"{PROJECT}/ID", "=", "Q"), "OR"]
    assert {row[0] for row in found(catalog, SUBJECT, hidden, [f"{SUBJECT}/PROJECT"], ann).rows} == {"Q"}
    assert [row[:1] + row[-1:] for row in ask(catalog, lambda c: list_elements(c, ann)).rows] == [
        [PROJECT, "1"], [SUBJECT, "1"], [MR, "4"],
    ]  # fmt: skip
    nobody = somebody(catalog)
    for root in (MR, SUBJECT, PROJECT):
        assert found(catalog, root, [], (), nobody).rows == []
    assert [row[-1] for row in ask(catalog, lambda c: list_elements(c, nobody)).rows] == ["0", "0"]


APART = ("file/label", "scans/scan/file/label", "project_access", " project_access ", "project_access[@a=b]")
"""Names of what no row of a search of another kind is joined with, as they are and in disguise."""


@pytest.mark.parametrize("root", [MR, SUBJECT, PROJECT, SCAN])
def test_no_field_shows_what_stands_in_rows_that_are_not_the_search_s_own(catalog: Catalog, root: str) -> None:
    """As a column and as a criterion. That no other column has rows of its own, `columns.joined` asks of each query."""
    ann = somebody(catalog, Q="collaborator")
    alone = len(found(catalog, root, (), (), ann).rows)
    for path in (f"{element}/{name}" for element, name in product((MR, PROJECT, SCAN), APART)):
        with contextlib.suppress(Usage):
            rows = found(catalog, root, (), [path], ann).rows
            assert len(rows) == alone, path
        with contextlib.suppress(Usage):
            assert len(found(catalog, root, [(path, "IS NOT NULL", "")], (), ann).rows) <= alone, path


@pytest.mark.postgresql
def test_projects_have_their_counts_and_owners(catalog: Catalog) -> None:
    ann = somebody(catalog, P="owner", Q="collaborator")
    columns = [f"{PROJECT}/{one}" for one in ("ID", "PROJ_MR_COUNT", "PROJ_CT_COUNT", "PROJECT_OWNERS")]
    assert [list(row) for row in found(catalog, PROJECT, [], columns, ann).rows] == [
        ["P", "7", "1", "ann"],
        ["Q", "4", "", None],
    ]


def test_a_project_s_title_comes_by_the_names_that_clients_read(catalog: Catalog) -> None:
    """copyxnat asks by the path, and reads `name_csv`, which pyxnat finds where there is no `name` besides."""
    ann = somebody(catalog, P="owner")
    by_path = found(catalog, PROJECT, [], [f"{PROJECT}/ID", f"{PROJECT}/name", f"{PROJECT}/secondary_ID"], ann)
    assert by_path.names == ["id", "name_csv", "secondary_id"]
    assert found(catalog, PROJECT, [], [f"{PROJECT}/NAME"], ann).names == ["name", "id"]


@pytest.mark.postgresql
def test_a_search_is_one_statement(catalog: Catalog, subtests: pytest.Subtests) -> None:
    where = [(f"{SUBJECT}/SUBJECT_LABEL", "LIKE", "Sub%"), (f"{MR}/scans/scan/id", "=", "1"), "AND"]
    for root in (MR, SUBJECT, PROJECT):
        with subtests.test(root=root):
            with counted(catalog) as said:
                rows = found(catalog, root, where)
            assert len([one for one in said if one != "BEGIN"]) == 1
            assert rows.rows


# -- over HTTP ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    site: DataFolder = make_data_folder(tmp_path, monkeypatch)
    with serve_in_process(site.data) as running:
        site.bring(uploader_layout("S1", "4", images(1)), session="S1", subject="Ann")
        yield running


def table(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text)))


def test_what_may_be_searched_is_told_and_found_by_every_address(web: Web) -> None:
    with web.client() as client:
        named = table(client.get("/data/search/elements?format=csv"))
        assert [(one["ELEMENT_NAME"], one["SINGULAR"], one["PLURAL"], one["COUNT"]) for one in named] == [
            (PROJECT, "Project", "Projects", "1"), (SUBJECT, "Subject", "Subjects", "1"),
            (MR, "MR Session", "MR Sessions", "1"),
        ]  # fmt: skip
        for prefix in ("/data", "/REST", "/data/archive", "/REST/archive"):
            for one in named:
                kind = one["ELEMENT_NAME"]
                ids = [row["FIELD_ID"] for row in table(client.get(f"{prefix}/search/elements/{kind}?format=csv"))]
                found = table(client.post(f"{prefix}/search?format=csv", content=bundle(kind)))
                assert set(ids) <= {header.upper() for header in found[0]}
                asked = bundle(kind, [f"{kind}/{name}" for name in ids], [(f"{kind}/ID", "LIKE", "%")])
                assert table(client.post(f"{prefix}/search?format=csv", content=asked)) == found
                for name in ids if prefix == "/data" else []:  # one address will do for comparing
                    where = [(f"{kind}/{name}", "IS NOT NULL", ""), (f"{kind}/{name}", "IS NULL", ""), "OR"]
                    assert len(table(client.post(f"{prefix}/search?format=csv", content=bundle(kind, (), where)))) == 1
        (row,) = client.post("/data/search", content=bundle(MR)).json()["ResultSet"]["Result"]
        assert (row["label"], row["subject_label"], row["session_id"]) == ("S1", "Ann", "XNAT_E00001")
        assert client.get("/data/search/elements/xnat:qcAssessmentData").status_code == 404


def test_nothing_found_is_a_header_alone(web: Web) -> None:
    with web.client() as client:
        asked = bundle(MR, [f"{MR}/LABEL"], [(f"{MR}/LABEL", "=", "none")])
        assert client.post("/data/search?format=csv", content=asked).text == "label,session_id,subject_id,project\n"


def test_who_may_not_finds_nothing_and_bad_searches_are_plain_text(web: Web) -> None:
    web.account("stranger")
    for name in ("stranger", None):
        with web.client(name) as client:
            assert table(client.post("/data/search?format=csv", content=bundle(MR))) == []
            assert len(table(client.get("/data/search/elements?format=csv"))) == 2
            long = bundle(MR, (), [(f"{MR}/LABEL", "=", "x" * 100_000)])
            assert client.post("/data/search?format=csv", content=long).status_code == (413 if name is None else 200)
    with web.client() as client:
        bomb = b'<!DOCTYPE a [<!ENTITY b "c">]>' + bundle(MR)
        for body in (b"", b"<", bomb, b"<a/>", bundle("xnat:nothingData"), b" " * (5 << 20)):
            answer = client.post("/data/search?format=csv", content=body)
            assert answer.status_code == (413 if len(body) > 4 << 20 else 400)
            assert answer.headers["content-type"].startswith("text/plain")
            assert answer.text.strip().endswith(".")


def test_a_type_s_default_search_is_a_document_that_is_a_search(web: Web) -> None:
    kinds = (MR, SUBJECT, PROJECT, "xnat:imageSessionData", "xnat:mrScanData")
    web.account("eve")
    with web.client() as one, web.client("eve") as eve:
        one.put("/data/projects/Q").raise_for_status()
        for kind in kinds:
            for where, count in (("projects/P/searches", 1), ("projects/Q/searches", 0), ("search/saved", 1)):
                answer = one.get(f"/data/{where}/@{kind}")
                assert (answer.status_code, answer.headers["content-type"]) == (200, "text/xml; charset=utf-8")
                found = table(one.post("/data/search?format=csv", content=answer.content))
                wanted = {PROJECT: 1 if "saved" not in where else 2}.get(kind, count)
                assert len(found) == wanted, (kind, where)
            assert eve.get(f"/data/projects/P/searches/@{kind}").status_code == 404
        more = one.get(f"/data/projects/P/searches/@{MR}").text.replace(
            "</xdat:search_where>",
            f"{criteria([(f'{MR}.LABEL', '=', 'none')])}</xdat:search_where>",
        )
        assert table(one.post("/data/search?format=csv", content=more)) == []
        for where in (f"projects/Nobody/searches/@{MR}", "projects/P/searches/@xnat:qcAssessmentData",
                      "projects/P/searches/mine", "search/saved/mine", "search/saved/@nobody"):  # fmt: skip
            assert one.get(f"/data/{where}").status_code == 404, where


def test_what_is_no_method_of_searches_is_told_in_words(web: Web) -> None:
    with web.client() as client:
        for answer in (client.post("/data/search/saved"), client.get("/data/search")):
            assert answer.status_code == 405
            assert answer.headers["content-type"].startswith("text/plain")
