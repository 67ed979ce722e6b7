"""What the command line makes of a server without space: it waits where its own uploads will make room."""

from __future__ import annotations

import httpx
import pytest

from scandock.cli.upload_client.server import ServerAway, ServerRefusal, _raise_refusal

FULL = {"code": "disk_full", "detail": "No space.", "remedy": "Free some."}


def test_it_waits_for_its_own_other_uploads():
    with pytest.raises(ServerAway) as caught:
        _raise_refusal(httpx.Response(507, json=FULL, headers={"Retry-After": "30"}))
    assert (caught.value.busy, caught.value.retry_after, caught.value.why) == (True, 30.0, "No space.")


def test_a_full_disk_is_said():
    with pytest.raises(ServerRefusal) as caught:
        _raise_refusal(httpx.Response(507, json=FULL))
    assert caught.value.code == "disk_full"
