"""The dialect's CSV: clients get the bytes of each value, a browser that goes there what a spreadsheet only shows."""

from __future__ import annotations

import pytest
from fastapi import Request

from scandock.web.xnat.responses import list_response
from scandock.web.xnat.services.columns import Rows

ROWS = Rows(["ID", "=label"], [["E1", "=HYPERLINK(1)"], ["E2", "-1.5"]])
EXACT = b"ID,=label\nE1,=HYPERLINK(1)\nE2,-1.5\n"


def table(**headers: str) -> bytes:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"format=csv", "headers": raw}
    answer = list_response(Request(scope), ROWS)
    assert answer.headers["vary"] == "Sec-Fetch-Mode"
    return bytes(answer.body)


def test_where_a_browser_goes_no_cell_runs():
    assert table(sec_fetch_mode="navigate") == b"ID,'=label\nE1,'=HYPERLINK(1)\nE2,-1.5\n"


@pytest.mark.parametrize("headers", [{}, {"sec_fetch_mode": "cors"}, {"accept": "text/csv", "user_agent": "curl/8"}])
def test_clients_get_the_bytes(headers):
    assert table(**headers) == EXACT
