"""What is looked at before each route, whichever door it is of."""

from __future__ import annotations

from fastapi import Request

from scandock.web.json_bodies import check_json_body
from scandock.web.query_parameters import check_no_nul, check_parameter_count
from scandock.web.request_ids import bind_upload_of_path


async def check_request(request: Request) -> None:
    """A dependency of every route: one for all that is looked at, as each costs its part of every request.

    Raises Usage `request_invalid`.
    """
    bind_upload_of_path(request)
    check_parameter_count(request)
    check_no_nul(request)
    check_json_body(request)
