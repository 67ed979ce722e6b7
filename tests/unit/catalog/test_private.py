"""The embedded catalog is closed to the machine's other accounts: it holds headers and password hashes."""

from __future__ import annotations

import os
import stat
import subprocess
import sys

import pytest
from sqlalchemy import text

from scandock.catalog import engine
from scandock.catalog.engine import open_catalog


def _modes(folder):
    return {name: stat.S_IMODE(os.lstat(folder / name).st_mode) for name in sorted(os.listdir(folder))}


@pytest.fixture
def loose():
    before = os.umask(0o022)
    yield
    os.umask(before)


def _used(path):
    catalog = open_catalog(f"sqlite:///{path}")
    with catalog.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = version_num"))
    return catalog


@pytest.mark.usefixtures("loose")
def test_a_new_catalog_is_private_with_the_files_beside_it(tmp_path):
    catalog = _used(tmp_path / "scandock.db")
    try:
        assert _modes(tmp_path) == dict.fromkeys(("scandock.db", "scandock.db-shm", "scandock.db-wal"), 0o600)
    finally:
        catalog.dispose()


@pytest.mark.usefixtures("loose")
@pytest.mark.parametrize(("was", "becomes"), [(0o644, 0o600), (0o640, 0o600), (0o664, 0o660), (0o660, 0o660)])
def test_an_older_catalog_is_closed_and_keeps_a_group_that_was_let_in(tmp_path, was, becomes):
    _used(tmp_path / "scandock.db").dispose()
    (tmp_path / "scandock.db").chmod(was)
    catalog = _used(tmp_path / "scandock.db")
    try:
        assert set(_modes(tmp_path).values()) == {becomes}
    finally:
        catalog.dispose()


BESIDE = """
import sqlite3, sys
try:
    sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None).execute("BEGIN IMMEDIATE")
except sqlite3.OperationalError as error:
    print(error)
"""


def test_closing_it_to_others_drops_no_lock_of_the_same_process(tmp_path):
    path = tmp_path / "scandock.db"
    catalog = open_catalog(f"sqlite:///{path}")
    try:
        with catalog.write() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = version_num"))
            engine.keep_catalog_private(catalog)
            told = subprocess.run([sys.executable, "-c", BESIDE, path], capture_output=True, text=True, check=True)
    finally:
        catalog.dispose()
    assert told.stdout.strip() == "database is locked"
