"""What people change by hand comes to what a plain model says, and its sums are those of its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scandock.catalog.own_resources import OwnResources
from scandock.catalog.trees import ResourceRow, ScanRow, files_of, resources_of, scans_of
from scandock.model.errors import Usage
from scandock.publishing.tree_plan import TreePlan
from scandock.services.next_tree import NextTree, ResourcePath, StagedFile
from scandock.store.paths import CHANGED_TREE, SENT_FILES, RelPath, path_below, resource_file, tree_path
from scandock.store.stages import LocalStage
from tests.integration.store_conformance import publish_new, publish_replace
from tests.unit.publishing.next_trees import Room, files_in, opened_room

PLACES = [
    ResourcePath(None, "MISC"),
    ResourcePath("1", "DICOM"),
    ResourcePath("1", "NOTES"),
    ResourcePath("2", "DICOM"),
]
NAMES = ("a", "b", "sub/a")
Model = dict[tuple[ResourcePath, str], bytes]


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    with opened_room(tmp_path_factory.mktemp("edits")) as made:
        yield made


PUT = st.tuples(st.just("put"), st.sampled_from(PLACES), st.sampled_from(NAMES), st.binary(max_size=3))
TAKE = st.tuples(st.just("take"), st.sampled_from(PLACES), st.sampled_from(("a", "b", "sub")), st.just(b""))
RESOURCE = st.tuples(st.just("resource"), st.sampled_from(PLACES), st.just(""), st.just(b""))
SCAN = st.tuples(st.just("scan"), st.sampled_from(PLACES[1:]), st.just(""), st.just(b""))
STEPS = st.lists(st.one_of(PUT, PUT, PUT, PUT, TAKE, RESOURCE, SCAN), max_size=10)


@pytest.mark.long
@pytest.mark.hypothesis
@settings(max_examples=25)
@given(st.lists(STEPS, min_size=2, max_size=3))
def test_what_is_changed_is_what_a_plain_model_says(room: Room, changes: list[list[Any]]) -> None:
    room.made += 1
    shelf = OwnResources(project_id=1, project="P", subject_id=None, label="P", key=f"k{room.made}")
    name = tree_path(shelf.parts)
    stage = room.stage()
    scans = [ScanRow(0, "1", "1.2"), ScanRow(1, "2", None)]
    built = room.build(stage, TreePlan(root=CHANGED_TREE, scans=scans, resources=[ResourceRow(0, 0, "OLD", "", "")]))
    publish_new(room.store, stage, CHANGED_TREE, name, mark=built.mark)
    model: Model = {}
    for steps in changes:
        stage = room.stage()
        with room.catalog.read() as connection:
            next_tree = NextTree.read(connection, replace(shelf, tree_id=built.tree_id))
        before = dict(model)
        for at, step in enumerate(steps):
            apply(next_tree, stage, at, step, model)
        assert next_tree.changed or model == before
        plan = next_tree.plan()
        assert plan.takes_out or all(model.get(key) == data for key, data in before.items())
        built = room.build(stage, plan)
        expected = {resource_file(place.scan_id, place.label, file): data for (place, file), data in model.items()}
        assert files_in(Path(room.store.path) / stage.path / CHANGED_TREE) == expected
        check_rows(room, built.tree_id, model)
        publish_replace(room.store, stage, CHANGED_TREE, name, mark=built.mark)


def apply(
    next_tree: NextTree, stage: LocalStage, at: int, step: tuple[str, ResourcePath, str, bytes], model: Model
) -> None:
    """Make one change to both, or to neither where it is refused as there is nothing to take out, or no such scan."""
    kind, place, name, data = step
    within = [key for key in model if key[0] == place]
    named = [key for key in within if key[1] == name or key[1].startswith(f"{name}/")]
    changes: dict[str, Callable[[], object]] = {
        "put": lambda: put(next_tree, stage, path_below(SENT_FILES, str(at)), place, name, data),
        "take": lambda: next_tree.remove_files(place, name),
        "resource": lambda: next_tree.remove_resource(place),
        "scan": lambda: next_tree.remove_scan(str(place.scan_id)),
    }
    try:
        done = changes[kind]()
    except Usage as error:
        refused = error.code
    else:
        refused = ""
        assert kind != "take" or done == len(named)
    assert refused in {"", "file_unknown" if kind == "take" else "resource_unknown", "scan_unknown"}
    gone = {
        "put": [],
        "take": named,
        "resource": within,
        "scan": [key for key in model if key[0].scan_id == place.scan_id],
    }
    assert not (refused and gone[kind])
    for key in gone[kind]:
        del model[key]
    if kind == "put" and not refused:
        model[place, name] = data


def put(next_tree: NextTree, stage: LocalStage, rel: RelPath, place: ResourcePath, name: str, data: bytes) -> None:
    stage.put_whole(rel, data)
    one = StagedFile(
        rel=rel, name=name, size=len(data), sha256=sha256(data).digest(), md5=b"m" * 16, frames=1 + len(data)
    )
    next_tree.put(stage, place, [one], overwrite=True, kind=("", "", ""))


def check_rows(room: Room, tree_id: int, model: Model) -> None:
    with room.catalog.read() as connection:
        rows = list(files_of(connection, tree_id))
        resources = {one.n: one for one in resources_of(connection, tree_id)}
        scans = {one.n: one for one in scans_of(connection, tree_id)}
    ids = {one.n: scans[one.scan_n].scan_id if one.scan_n is not None else None for one in resources.values()}
    assert {
        (ResourcePath(ids[row.resource_n], resources[row.resource_n].label), row.name): row.sha256 for row in rows
    } == {key: sha256(data).digest() for key, data in model.items()}
    for one in resources.values():
        mine = [row for row in rows if row.resource_n == one.n]
        assert (one.files, one.bytes) == (len(mine), sum(row.bytes for row in mine))
    for scan in scans.values():
        mine = [row for row in rows if resources[row.resource_n].scan_n == scan.n]
        images = sum(row.frames for row in mine if resources[row.resource_n].label == "DICOM")
        assert (scan.files, scan.bytes, scan.frames) == (len(mine), sum(row.bytes for row in mine), images)
