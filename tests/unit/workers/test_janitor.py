"""What a worker's log tells of dead imports."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from scandock.catalog.errors import CatalogFailed
from scandock.model.errors import Fault
from scandock.publishing.recover import RecoveryResult
from scandock.services.data_catalog import open_data
from scandock.services.settings import load_settings
from scandock.store.errors import StoreFailed, StoreMissing, StoreOther
from scandock.store.local import LocalStore
from scandock.store.records import SweepResult
from scandock.testing.data import make_data
from scandock.workers import janitor
from scandock.workers.janitor import EVERY_SECONDS, Janitor


def test_only_what_is_stuck_for_longer_than_a_turn_is_called_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that is well again at once is no sign of it: the next turn finishes such an import."""
    fault = Fault("store_failed", "Permission denied.")
    turns = [
        (0.0, {"u1", "u2"}),  # the first is finished by the next turn, the second is not
        (5.0, {"u2"}),  # a turn before its time, as after a call
        (EVERY_SECONDS + 5, {"u2"}),
        (EVERY_SECONDS * 2 + 5, set[str]()),
        (EVERY_SECONDS * 3 + 5, {"u1", "u2"}),  # again, and for the first time since
    ]
    now = [0.0]
    with open_data(str(make_data(tmp_path / "data")), load_settings()) as (catalog, store), capture_logs() as logged:
        one = Janitor(catalog, store, load_settings(), structlog.get_logger(), clock=lambda: now[0])
        said = []
        for now[0], stuck in turns:
            found = RecoveryResult(stuck=dict.fromkeys(stuck, fault))
            monkeypatch.setattr(janitor, "recover", lambda *_, found=found: found)
            one._clear()  # noqa: SLF001  a turn of its thread
            said.append([line["upload"] for line in logged if line["event"] == "dead import stuck"])
            logged.clear()
    assert said == [[], [], ["u2"], [], []]


def test_what_can_not_go_yet_is_left_to_the_next_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As while somebody reads it: a turn that went on until it is gone would do nothing else."""
    sweeps = [SweepResult(0, 2), SweepResult(1, 1), SweepResult(0, 1)]
    monkeypatch.setattr(LocalStore, "sweep", lambda *_: sweeps.pop(0))
    with open_data(str(make_data(tmp_path / "data")), load_settings()) as (catalog, store):
        Janitor(catalog, store, load_settings(), structlog.get_logger())._clear()  # noqa: SLF001
    assert sweeps == []


def test_what_fails_keeps_nothing_else_from_being_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a bucket that refuses one object, for as long as it does."""

    def fail(*_: object) -> None:
        raise StoreFailed("The bucket gave no answer.")

    filled = []
    monkeypatch.setattr(LocalStore, "sweep", fail)
    monkeypatch.setattr(janitor, "fill_listings", fail)
    monkeypatch.setattr(janitor, "fill_manifests", lambda *_: filled.append(1))
    with open_data(str(make_data(tmp_path / "data")), load_settings()) as (catalog, store), capture_logs() as logged:
        Janitor(catalog, store, load_settings(), structlog.get_logger())._clear()  # noqa: SLF001
    assert filled == [1]
    failed = [(line["doing"], line["code"]) for line in logged if line["event"] == "not cleared"]
    assert failed == [("sweep", "store_failed"), ("sweep all", "store_failed"), ("fill listings", "store_failed")]


@pytest.mark.parametrize(
    "fault",
    [
        CatalogFailed("The catalog is locked."),
        StoreMissing("The folder archive is not there, with all that was placed in it."),
        StoreOther("s3://bucket", "the store of another catalog"),
    ],
    ids=lambda fault: fault.code,
)
def test_without_catalog_and_store_nothing_else_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    """Sessions that are not there for now would be taken for ones that are gone."""

    def fail(*_: object) -> None:
        raise fault

    filled = []
    monkeypatch.setattr(janitor, "recover", fail)
    monkeypatch.setattr(janitor, "fill_listings", lambda *_: filled.append(1))
    with open_data(str(make_data(tmp_path / "data")), load_settings()) as (catalog, store), capture_logs() as logged:
        one = Janitor(catalog, store, load_settings(), structlog.get_logger())
        with pytest.raises(type(fault)):
            one._clear()  # noqa: SLF001
    assert logged == []
    assert filled == []
