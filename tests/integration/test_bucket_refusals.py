"""A bucket that can't be used says why, and what to do: by a real server's words."""

from __future__ import annotations

import contextlib

import pytest

from scandock.store.bucket import Bucket
from scandock.store.errors import StoreFailed
from scandock.store.s3_deletion import read_marker
from tests.ports import free_port
from tests.s3_server import NAME, Server

UNKNOWN = "no-such-host.invalid"


def refusal(bucket: Bucket) -> tuple[str, str]:
    with pytest.raises(StoreFailed) as caught:
        read_marker(bucket)
    return caught.value.message, caught.value.remedy or ""


@pytest.mark.parametrize(
    ("variable", "value", "cause", "remedy"),
    [
        ("AWS_ACCESS_KEY_ID", "nobody", "the store doesn't know the access key.", "Correct AWS_ACCESS_KEY_ID."),
        (
            "AWS_SECRET_ACCESS_KEY",
            "wrong",
            "the secret key isn't that of the access key.",
            "Correct AWS_SECRET_ACCESS_KEY.",
        ),
    ],
)
def test_keys_that_are_wrong(
    s3_server: Server, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, cause: str, remedy: str
) -> None:
    monkeypatch.setenv(variable, value)
    message, advice = refusal(Bucket(NAME, "x", endpoint=s3_server.endpoint))
    assert message == f"The object store failed at reading v1/store: {cause}"
    assert advice == remedy


def test_a_bucket_that_is_not_there_is_named_and_not_made(s3_server: Server) -> None:
    bucket = Bucket("no-such-bucket", "x", endpoint=s3_server.endpoint)
    for ask in (read_marker, lambda one: one.get_range("v1/a", 0, 1), lambda one: list(one.list("v1"))):
        with pytest.raises(StoreFailed, match="there is no bucket no-such-bucket\\.") as caught:
            ask(bucket)
        assert "correct SCANDOCK_STORE" in (caught.value.remedy or "")
    with contextlib.suppress(StoreFailed):  # some servers say that nothing is there to be deleted
        bucket.delete(["v1/a"])
    assert "there is no bucket" in refusal(bucket)[0]


@pytest.mark.parametrize(
    ("endpoint", "cause", "remedy"),
    [
        ("http://127.0.0.1:{closed}", "nothing listens at {endpoint}.", "Start the store, or correct"),
        (f"http://{UNKNOWN}", "the host of {endpoint} isn't known.", "Correct SCANDOCK_S3_ENDPOINT."),
        ("https://127.0.0.1:{port}", "{endpoint} speaks no TLS.", "Begin SCANDOCK_S3_ENDPOINT with http://."),
    ],
)
def test_an_endpoint_that_is_wrong(s3_server: Server, endpoint: str, cause: str, remedy: str) -> None:
    endpoint = endpoint.format(closed=free_port(), port=s3_server.endpoint.rpartition(":")[2])
    message, advice = refusal(Bucket(NAME, "x", endpoint=endpoint))
    assert message.endswith(cause.format(endpoint=endpoint))
    assert advice.startswith(remedy)
