"""Bundles as clients write them, and as nobody should: read as they are meant, or refused in a sentence."""

from __future__ import annotations

import time

import pytest

from scandock.model.errors import Usage
from scandock.web.xnat.services.search_bundle import (
    MAX_BYTES,
    Criteria,
    Criterion,
    SearchColumn,
    parse_bundle,
)
from scandock.web.xnat.services.xml_parsing import MAX_DEPTH, MAX_ELEMENTS

NAMESPACE = 'xmlns:xdat="http://nrg.wustl.edu/security" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'


def around(inner: str, root: str = "bundle") -> bytes:
    return (
        f'<xdat:{root} {NAMESPACE} ID="@xnat:mrSessionData" secure="false">'
        f"<xdat:root_element_name>xnat:mrSessionData</xdat:root_element_name>{inner}</xdat:{root}>"
    ).encode()


def criterion(field: str = "xnat:mrSessionData/DATE", comparison: str = "=", value: str = "x") -> str:
    return (
        f'<xdat:criteria override_value_formatting="0"><xdat:schema_field>{field}</xdat:schema_field>'
        f"<xdat:comparison_type>{comparison}</xdat:comparison_type><xdat:value>{value}</xdat:value></xdat:criteria>"
    )


def test_a_bundle_says_rows_columns_and_criteria() -> None:
    found = parse_bundle(
        around(
            "<xdat:search_field><xdat:element_name>xnat:subjectData</xdat:element_name>"
            "<xdat:field_ID>SUBJECT_LABEL</xdat:field_ID><xdat:sequence>0</xdat:sequence>"
            "<xdat:type>string</xdat:type><xdat:header>Subject</xdat:header></xdat:search_field>"
            f'<xdat:search_where method="or">{criterion(comparison=" &lt;= ", value="a &amp; b")}'
            f'<xdat:child_set method="AND">{criterion("xnat:subjectData.ID", "is  null")}</xdat:child_set>'
            "</xdat:search_where><xdat:allowed_user><xdat:login>ann</xdat:login></xdat:allowed_user>"
        )
    )
    assert found.root == "xnat:mrSessionData"
    assert found.columns == (SearchColumn("xnat:subjectData", "SUBJECT_LABEL"),)
    first = Criterion("xnat:mrSessionData", "DATE", "<=", "a & b")
    second = Criterion("xnat:subjectData", "ID", "IS NULL", "x")
    assert found.where == Criteria("AND", (Criteria("OR", (first, Criteria("AND", (second,)))),))


def test_what_is_left_out_is_no_condition() -> None:
    assert parse_bundle(around("")).where == Criteria("AND", ())
    assert parse_bundle(around("<xdat:search_where/>", "search")).where == Criteria("AND", (Criteria("AND", ()),))
    no_value = criterion().replace("<xdat:value>x</xdat:value>", "")
    where = parse_bundle(around(f"<xdat:search_where>{no_value}</xdat:search_where>")).where
    assert where.members == (Criteria("AND", (Criterion("xnat:mrSessionData", "DATE", "=", ""),)),)


def test_paths_may_have_slashes_points_and_types() -> None:
    path = "xnat:subjectData/demographics[@xsi:type=xnat:demographicData]/gender"
    where = parse_bundle(around(f"<xdat:search_where>{criterion(path)}</xdat:search_where>")).where
    assert where.members == (
        Criteria(
            "AND", (Criterion("xnat:subjectData", "demographics[@xsi:type=xnat:demographicData]/gender", "=", "x"),)
        ),
    )


def column(element: str, field: str) -> str:
    return (
        f"<xdat:search_field><xdat:element_name>{element}</xdat:element_name>"
        f"<xdat:field_ID>{field}</xdat:field_ID></xdat:search_field>"
    )


def where(inner: str) -> bytes:
    return around(f"<xdat:search_where>{inner}</xdat:search_where>")


DEEP = "".join('<xdat:child_set method="AND">' for _ in range(MAX_DEPTH)) + "</xdat:child_set>" * MAX_DEPTH
LAUGHS = b"<!DOCTYPE a [<!ENTITY a 'ha'>" + b"".join(
    f"<!ENTITY {chr(98 + n)} '{f'&{chr(97 + n)};' * 10}'>".encode() for n in range(12)
)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"", "empty"),
        (b" \n ", "empty"),
        (b"not XML", "no XML"),
        (b"<a>", "no XML"),
        (b"\xff\xfe\x00", "no XML"),
        (b'<?xml version="1.0" encoding="klingon"?><a/>', "no XML"),
        (b"<html/>", "<html>"),
        (b'<xdat:bundle xmlns:xdat="x"/>', "what it is of"),
        (where("<xdat:criteria/>"), "A criterion is of ''"),
        (where(criterion("DATE")), "A criterion is of 'DATE'"),
        (where(criterion("xnat:mrSessionData/")), "A criterion is of"),
        (where(criterion(comparison="")), "how to compare"),
        (where(criterion()).replace(b"<xdat:search_where>", b"<xdat:search_where method='XOR'>"), "'XOR'"),
        (around("<xdat:search_field/>"), "Column 1"),
        (around(column("xnat:subjectData", "[" * 301)), "301 characters"),
        (around(column("x" * 301, "ID")), "301 characters"),
        (where(criterion(f"xnat:subjectData/{'x' * 300}")), "317 characters"),
        (where(DEEP), "nested"),
        (where("<a/>" * MAX_ELEMENTS), "elements"),
        (b"x" * (MAX_BYTES + 1), "bytes"),
        (LAUGHS + b"]>" + where(criterion(value="&m;")), "document type"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd">' + around(""), "document type"),
        (b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>' + where(criterion(value="&b;")), "document type"),
        (where(criterion(value="&b;")), "no XML"),
    ],
)
def test_what_is_no_bundle_is_refused_at_once(body: bytes, named: str) -> None:
    begin = time.monotonic()
    with pytest.raises(Usage, match=named) as told:
        parse_bundle(body)
    assert (told.value.code, bool(told.value.remedy)) == ("request_invalid", True)
    assert time.monotonic() - begin < 5
