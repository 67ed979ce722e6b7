"""Which store the settings name, and what a site in a folder loads of the other one: nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from scandock.model.errors import Usage
from scandock.services.settings import Settings, is_bucket, load_settings
from scandock.services.store_opening import open_data_store
from scandock.store.local import LocalStore
from scandock.store.s3_store import S3Store

POSTGRESQL = "postgresql://scandock@database/scandock"
LOADED = """
import sys
from scandock.services.settings import Settings
from scandock.services.store_opening import open_data_store
from scandock.workers import attempt, local_import, worker
open_data_store({data!r}, Settings()).prepare()
print([name for name in sys.modules if name.split(".")[0] == "obstore" or ".s3_" in name or "object_rows" in name])
"""


def test_without_a_bucket_the_store_is_the_folder(tmp_path: Path) -> None:
    assert isinstance(open_data_store(str(tmp_path), Settings(store=None)), LocalStore)
    words = [sys.executable, "-c", LOADED.format(data=str(tmp_path / "data"))]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n", done.stderr


def test_a_bucket_needs_postgresql(tmp_path: Path) -> None:
    for url in (None, "sqlite:///catalog.db"):
        with pytest.raises(Usage) as caught:
            open_data_store(str(tmp_path), Settings(store="s3://scans", database_url=url))
        assert caught.value.code == "store_unfit"
    store = open_data_store(str(tmp_path), Settings(store="s3://scans/a/b", database_url=POSTGRESQL))
    assert isinstance(store, S3Store)
    assert store.path == str(tmp_path)


@pytest.mark.parametrize(
    "name", ["scans", "s3://", "s3://Scans", "s3://a", "s3://scans//a", "s3://scans/../a", "http://s"]
)
def test_what_is_no_bucket_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_bucket(name)
    monkeypatch.setenv("SCANDOCK_STORE", name)
    with pytest.raises(Usage) as caught:
        load_settings()
    assert "SCANDOCK_STORE" in caught.value.message
