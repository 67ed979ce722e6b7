"""Readers take apart what anybody may have made: what they are told holds no secret."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from scandock.workers import readers
from scandock.workers.reader_counters import ReaderCounters
from scandock.workers.readers import start_process
from tests.crash.processes import until


@pytest.mark.processes
def test_no_secret_is_in_a_readers_environment(monkeypatch):
    monkeypatch.setenv("SCANDOCK_DATABASE_URL", "postgresql://user:hush@host/name")
    monkeypatch.setenv("SCANDOCK_ADMIN_PASSWORD", "hush")
    monkeypatch.setenv("PGPASSWORD", "hush")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    monkeypatch.setenv("LANG", "C.UTF-8")
    board = ReaderCounters.create(1)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        reader = start_process(theirs, board.fds)
        try:
            environ = Path(f"/proc/{reader.pid}/environ")
            until(environ.read_bytes, "it never began")  # empty while the kernel loads the program
            told = environ.read_bytes().split(b"\0")
        finally:
            reader.kill()
            reader.wait()
            board.close()
    assert b"LANG=C.UTF-8" in told
    assert not [word for word in told if b"hush" in word]


def test_keys_of_a_bucket_are_there_where_uploads_are_read_from_one(monkeypatch):
    monkeypatch.setenv("SCANDOCK_STORE", "s3://scans")
    monkeypatch.setenv("SCANDOCK_DATABASE_URL", "postgresql://user:hush@host/name")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "key")
    given = readers.reader_environment()
    assert given["AWS_SECRET_ACCESS_KEY"] == "key"
    assert not any(name.startswith("SCANDOCK_") for name in given)
