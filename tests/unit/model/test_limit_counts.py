"""What is refused is counted where it is raised, and only that."""

from __future__ import annotations

import json

import pytest
from fastapi import Request
from sqlalchemy import literal

from scandock.model.errors import Usage
from scandock.model.limit_counts import AccountLimit, RequestLimit, limit_counts
from scandock.rules import mapping
from scandock.web.metrics import limit_metrics
from scandock.web.query_parameters import check_parameter_count
from scandock.web.receiving.multipart import MAX_PARTS, FormReader
from scandock.web.xnat.bodies import parse_form
from scandock.web.xnat.services.columns import check_name, matches_pattern, split_list


def parts(count):
    part = b'--b\r\nContent-Disposition: form-data; name="%d"\r\n\r\n1\r\n'
    reader = FormReader(b"b", frozenset(map(str, range(count))))
    reader.push(b"".join(part % number for number in range(count)))


def few():
    check_parameter_count(Request({"type": "http", "state": {"too_many_parameters": True}}))


OVER = {
    RequestLimit.FIELDS: lambda: parse_form(b"&".join([b"a=1"] * 1001)),
    RequestLimit.PARTS: lambda: parts(MAX_PARTS + 1),
    RequestLimit.PARAMETERS: lambda: few(),
    RequestLimit.MAPPING_COLUMNS: lambda: mapping.parse_mapping(
        json.dumps([{str(n): "" for n in range(101)}]), "m.json"
    ),
    RequestLimit.COLUMNS: lambda: split_list("a," * 200, "columns", 200),
    RequestLimit.VALUES: lambda: split_list("a," * 1000, "values", 1000),
    RequestLimit.PATTERN: lambda: matches_pattern(literal("a"), "*" * 1001, "label"),
    RequestLimit.NAME: lambda: check_name("a" * 301),
}


@pytest.mark.parametrize("limit", OVER)
def test_what_is_over_a_limit_counts_once_and_by_its_own_name(limit):
    before = limit_counts(RequestLimit)
    with pytest.raises(Usage):
        OVER[limit]()
    assert limit_counts(RequestLimit) == {**before, limit: before[limit] + 1}


def test_rows_of_a_mapping_count(monkeypatch):
    monkeypatch.setattr(mapping, "MAX_ROWS", 1)
    before = limit_counts(RequestLimit)
    with pytest.raises(Usage, match="rows"):
        mapping.parse_mapping("patient_id,project\na,A\nb,B\n", "m.csv")
    assert limit_counts(RequestLimit) == {**before, RequestLimit.MAPPING_ROWS: before[RequestLimit.MAPPING_ROWS] + 1}


def test_what_is_within_the_limits_counts_nowhere():
    before = limit_counts(RequestLimit)
    parse_form(b"a=1&b=2")
    parts(MAX_PARTS)
    split_list("a,b", "columns", 200)
    check_name("label")
    mapping.parse_mapping("patient_id,project\na,A\n", "m.csv")
    assert limit_counts(RequestLimit) == before


def test_no_limit_of_accounts_is_one_of_requests():
    assert not set(map(str, AccountLimit)) & set(map(str, RequestLimit))


def test_metrics_have_every_limit_from_the_start_by_labels_of_its_own():
    accounts, requests = (
        {
            sample.labels["limit"]: sample.value
            for family in limit_metrics()
            for sample in family.samples
            if sample.name == name
        }
        for name in ("scandock_account_limits_total", "scandock_limits_refused_total")
    )
    assert accounts == limit_counts(AccountLimit)
    assert requests == limit_counts(RequestLimit)
