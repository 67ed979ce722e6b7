"""What XNAT's clients send is answered as it was when `make clients` recorded it (`recording.py`)."""

from __future__ import annotations

import pytest

from scandock.testing.server import InProcessServer
from tests.clients.material import sent_files
from tests.clients.recording import RECORDED, Placeholders, replay

CLIENTS = {
    "xnat": 200, "xnat-0.7.2": 200, "xnat-0.6.2": 200, "xnat-0.4.3": 170, "pyxnat": 220, "xnatuploader": 30,
    "xnatutils": 70,
}  # fmt: skip
"""Recordings, and the least number of requests that each has: one that was cut must not pass."""


@pytest.mark.parametrize("client", CLIENTS)
def test_answers_are_those_that_were_recorded(client: str, in_process: InProcessServer) -> None:
    count = 0
    for request, recorded, answer in replay(RECORDED / f"{client}.jsonl", in_process, sent_files()):
        assert answer == recorded, f"{request}: another answer than the recorded one; see `make clients`"
        count += 1
    assert count >= CLIENTS[client], "a part of the recording is missing; see `make clients`"


def test_every_recording_is_replayed() -> None:
    assert {path.stem for path in RECORDED.iterdir()} == set(CLIENTS)


def test_a_token_that_ends_with_digits_is_no_resource() -> None:
    """One UUID of 280 has only digits behind its last hyphen."""
    names = Placeholders("http://server")
    names.learn('{"alias": "0d7e5a52-4f0e-4c11-9b9d-123456789012", "secret": "q"}')
    names.learn("JSESSIONID=123456789-abcdefghijklmnop")
    names.learn('"URI": "/data/experiments/XNAT_E00012/resources/987654321098/files/a"')
    assert names.put_into("987654321098") == "{resource1}"
