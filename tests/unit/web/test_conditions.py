"""Conditions of requests, by the table of RFC 9110 13.2.2."""

from __future__ import annotations

import pytest

from scandock.model.errors import Usage
from scandock.web.conditions import is_not_modified

TAG = '"abc"'
MODIFIED = 1_000_000_000  # Sun, 09 Sep 2001 01:46:40 GMT
THEN = "Sun, 09 Sep 2001 01:46:40 GMT"
BEFORE = "Sun, 09 Sep 2001 01:46:39 GMT"


@pytest.mark.parametrize(
    ("headers", "unchanged"),
    [
        ({}, False),
        ({"if-none-match": TAG}, True),
        ({"if-none-match": f"W/{TAG}"}, True),
        ({"if-none-match": f'"x,y", W/{TAG}'}, True),
        ({"if-none-match": "*"}, True),
        ({"if-none-match": '"abd"'}, False),
        ({"if-none-match": "abc"}, False),
        ({"if-match": TAG}, False),
        ({"if-match": f'"x", {TAG}', "if-none-match": TAG}, True),
        ({"if-match": "*"}, False),
        ({"if-modified-since": THEN}, True),
        ({"if-modified-since": BEFORE}, False),
        ({"if-modified-since": "yesterday"}, False),
        ({"if-modified-since": THEN, "if-none-match": '"abd"'}, False),
        ({"if-unmodified-since": THEN}, False),
        ({"if-unmodified-since": "yesterday"}, False),
        ({"if-match": TAG, "if-unmodified-since": BEFORE}, False),
    ],
)
def test_what_the_client_has(headers, unchanged):
    assert is_not_modified(headers, TAG, MODIFIED) is unchanged


@pytest.mark.parametrize(
    "headers",
    [
        {"if-match": '"zz"'},
        {"if-match": "zz"},
        {"if-match": f"W/{TAG}"},  # a weak tag never serves where bytes are meant
        {"if-match": '"zz"', "if-none-match": TAG},
        {"if-unmodified-since": BEFORE},
    ],
)
def test_what_does_not_hold(headers):
    with pytest.raises(Usage) as caught:
        is_not_modified(headers, TAG, MODIFIED)
    assert caught.value.code == "changed_meanwhile"
