"""The local store passes the conformance suite, on file systems with and without renameat2 and hard links."""

from __future__ import annotations

import errno
import os

import pytest

from scandock.store import syscalls
from scandock.store.local import LocalStore
from scandock.store.root import Root
from scandock.store.space import can_exchange
from tests.integration.store_conformance import StoreConformance

pytestmark = pytest.mark.disk


class TestLocalStore(StoreConformance):
    @pytest.fixture
    def reopen(self, tmp_path):
        return lambda: LocalStore(tmp_path / "deep" / "DATA")

    def test_an_upload_is_read_where_it_lies(self, store, tmp_path):
        spool = store.spool("u")
        spool.append(0, b"abc")
        assert spool.local_path() == str(tmp_path / "deep" / "DATA" / "incoming" / "u" / "archive")


class TestLocalStoreOnAPlainFileSystem(StoreConformance):
    """As on NFS and old kernels: neither renameat2 nor hard links between trees."""

    @pytest.fixture
    def reopen(self, tmp_path, monkeypatch):
        def no_renameat2(source, target, root_fd, flags):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), source, None, target)

        link = os.link

        def no_links(source, target, **options):
            if "DICOM" in str(source) or "/" not in str(source):  # adoption links by names in open folders
                raise OSError(errno.EPERM, os.strerror(errno.EPERM), source, None, target)
            link(source, target, **options)

        monkeypatch.setattr(syscalls, "renameat2", no_renameat2)
        monkeypatch.setattr(os, "link", no_links)
        return lambda: LocalStore(tmp_path / "DATA")

    def test_it_is_told(self, store, tmp_path):
        assert not can_exchange(Root(str(tmp_path / "DATA")))
