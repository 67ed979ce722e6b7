"""What is said of a bucket that refuses a request."""

from __future__ import annotations

import pytest

from scandock.store.bucket import Bucket

# As obstore told of SeaweedFS 4.48, whose client's clock was an hour ahead.
_SKEWED = """The operation lacked the necessary privileges to complete for path v1/probe: Error performing PUT \
http://10.0.0.12/scans/v1/probe in 1.8ms - Server returned non-2xx status code: 403 Forbidden: <?xml version="1.0"?>
<Error><Code>RequestTimeTooSkewed</Code><Message>The difference between the request time and the server&#39;s time is \
too large.</Message></Error>
"""


def _coded(code: str, message: str) -> str:
    return _SKEWED.partition("<Error>")[0] + f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"


@pytest.mark.parametrize(
    ("reason", "message", "remedy"),
    [
        pytest.param(_SKEWED, "the clocks of this machine and of the store differ.", "Set the clock", id="clock"),
        pytest.param(
            _coded("AccessDenied", "Access Denied."),
            "the access key may not do that.",
            "look whether that",
            id="rights",
        ),
        pytest.param(
            "Error performing PUT http://169.254.169.254/latest/api/token in 1.2s",
            "no access key is set",
            "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
            id="no keys",
        ),
        pytest.param("500 Oops\nDebug source: ...", "500 Oops.", "Look at the object store's log", id="else"),
        pytest.param(
            _coded("SlowDown", "Reduce your rate."), "SlowDown: Reduce your rate.", "Look at the object", id="code"
        ),
    ],
)
def test_refusal_says_what_to_do(reason: str, message: str, remedy: str) -> None:
    fault = Bucket("scans").fault("writing", "v1/probe", PermissionError(reason))
    assert fault.code == "store_failed"
    assert message in fault.message
    assert remedy in (fault.remedy or "")
    assert "\n" not in fault.message
