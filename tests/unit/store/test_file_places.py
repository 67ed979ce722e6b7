"""Places of files in a bucket as they are packed, and moved."""

from __future__ import annotations

import pytest

from scandock.store import file_places
from scandock.store.file_places import FilePlace, move_places, pack_places, unpack_places
from scandock.store.paths import unchecked_path

PLACES = [
    FilePlace(unchecked_path("scans/1/a"), "v1/p/one", 64, 1000),
    FilePlace(unchecked_path("scans/1/é"), "v1/p/two", 64, 10),
    FilePlace(unchecked_path("scans/2/[b]"), "v1/p/one", 1200, 5),
]


def test_files_of_an_old_object_are_elsewhere_and_others_where_they_were() -> None:
    (batch,) = pack_places(PLACES)
    moved = move_places(batch, {"v1/p/one"}, {("v1/p/one", 64): ("v1/p/new", 64), ("v1/p/one", 1200): ("v1/p/new", 7)})
    assert moved.objects == {"v1/p/new", "v1/p/two"}
    places = [PLACES[0]._replace(object="v1/p/new"), PLACES[1], PLACES[2]._replace(object="v1/p/new", offset=7)]
    assert unpack_places(moved.batch) == places


def test_what_was_not_moved_is_an_error() -> None:
    (batch,) = pack_places(PLACES)
    with pytest.raises(KeyError):
        move_places(batch, {"v1/p/one"}, {("v1/p/one", 64): ("v1/p/new", 64)})


def test_a_batch_without_an_old_object_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    (batch,) = pack_places(PLACES)
    monkeypatch.setattr(file_places, "unpack_places", None)
    moved = move_places(batch, {"v1/p/three"}, {})
    assert moved.batch is batch
    assert moved.objects == {"v1/p/one", "v1/p/two"}
