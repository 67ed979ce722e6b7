"""What a worker hands to the process of an attempt."""

from __future__ import annotations

import json

import pytest

from scandock.workers.attempt import AttemptRequest


@pytest.mark.parametrize(
    "order",
    [
        AttemptRequest(data="/data", upload="u", token="t", previous="", attempt=1, exhausted=False, reason=""),
        AttemptRequest(data="-", upload="-", token="-", previous="-", attempt=3, exhausted=True, reason="-"),
        AttemptRequest(
            data="/\udcff \xe9", upload="u", token="t", previous="s", attempt=2, exhausted=False, reason="worker_lost"
        ),
    ],
)
def test_an_order_is_one_document_that_an_argument_and_a_wire_take(order: AttemptRequest) -> None:
    text = order.to_json()
    assert text.isascii()
    assert isinstance(json.loads(text), dict)
    assert AttemptRequest.from_json(text) == order
