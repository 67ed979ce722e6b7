"""Paths of what is stored: made of allowed pieces alone, always below where they belong, and by one module.

What mypy shows of that is at the end.
"""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import scandock
from scandock.model.tree_parts import TreeParts
from scandock.rules.labels import clean_label
from scandock.rules.scan_ids import NewSeries, id_stem
from scandock.store import paths
from scandock.store.local import LocalStore

STAMP = "20260102_030405678"
texts = st.text(st.characters(codec="utf-8") | st.sampled_from("./\\\0\n~ -_aZ9"), max_size=300)


def test_names_are_built_and_taken_apart():
    archived = paths.archive_path("P-1", "L_2")
    waiting = paths.prearchive_path("P-1", STAMP, "L_2")
    assert archived == "archive/P-1/L_2"
    assert waiting == f"prearchive/P-1/{STAMP}/L_2"
    own = paths.resources_path("P-1", "project")
    assert own == "resources/P-1/project"
    assert paths.tree_parts(archived) == ("archive", "P-1", "", "L_2")
    assert paths.tree_parts(own) == ("resources", "P-1", "", "project")
    assert paths.tree_parts(waiting) == ("prearchive", "P-1", STAMP, "L_2")


def test_a_deleted_project_has_its_number_behind_a_tilde():
    aside = paths.archive_path("P-1~17", "L_2")
    assert paths.tree_parts(aside) == ("archive", "P-1~17", "", "L_2")
    assert paths.tree_parts(paths.resources_path("P~1", "project")).project == "P~1"
    assert paths.tree_parts(paths.prearchive_path("P~1", STAMP, "L")).project == "P~1"
    for text in ("~1", "P~", "P~x", "P~1~2", "~", "P~1/L"):
        with pytest.raises(ValueError, match="not a"):
            paths.archive_path(text, "L")
    with pytest.raises(ValueError, match="not a label"):
        paths.archive_path("P", "L~1")


def test_files_are_built_as_the_uploader_documents_them():
    assert paths.resource_file("4-MR1", "DICOM", "1.2.3.dcm") == "scans/4-MR1/resources/DICOM/files/1.2.3.dcm"
    assert paths.resource_file(None, "physio", "run 1/log.txt") == "resources/physio/files/run 1/log.txt"


@pytest.mark.parametrize("text", ["", ".", "..", "a.b", "a b", "a/b", "ä", "a\n", "a\0", "x" * 129])
def test_what_is_no_label(text):
    for build in (
        paths.label,
        lambda label: paths.archive_path(label, "L"),
        lambda label: paths.archive_path("P", label),
        lambda label: paths.resources_path(label, "project"),
        lambda label: paths.resources_path("P", label),
        lambda label: paths.prearchive_path(label, STAMP, "L"),
        lambda label: paths.prearchive_path("P", STAMP, label),
        lambda label: paths.resource_file("1", label, "f"),
        lambda label: paths.resource_file(None, label, "f"),
    ):
        with pytest.raises(ValueError, match="not a label"):
            build(text)


@pytest.mark.parametrize("text", ["", ".", "..", ".1", "a/b", "1 2", "x" * 129])
def test_what_is_no_scan_id(text):
    with pytest.raises(ValueError, match="not a scan id"):
        paths.resource_file(text, "DICOM", "f")


def test_scan_ids_may_hold_dots():
    assert paths.scan_id("4-MR1.2") == "4-MR1.2"


@pytest.mark.parametrize(
    "text",
    ["", "20260102", "20260102_03040", "20260102-030405678", STAMP + "0", "2026010a_030405678", "../../../../../../"],
)
def test_what_is_no_timestamp(text):
    with pytest.raises(ValueError, match="not a prearchive timestamp"):
        paths.prearchive_path("P", text, "L")


@pytest.mark.parametrize(
    "text", ["archive/P/L/", "/archive/P/L", "Archive/P/L", "archive/P/L\n", f"prearchive/P/{STAMP}"]
)
def test_what_is_no_name(text):
    with pytest.raises(ValueError, match="not "):
        paths.tree_parts(text)


@pytest.mark.long
@given(texts)
def test_a_name_is_rebuilt_from_its_parts_or_refused(text):
    for candidate in (text, f"archive/P/{text}", f"archive/{text}/L", f"prearchive/P/{text}/L", f"resources/P/{text}"):
        try:
            place = paths.tree_parts(candidate)
        except ValueError:
            continue
        assert "/".join(filter(None, place)) == candidate
        assert paths.tree_path(place) == paths.parse_tree(candidate) == candidate


@given(texts)
def test_a_relpath_stays_below_its_folder_or_is_refused(text):
    try:
        paths.parse_rel(text)
    except ValueError:
        return
    assert posixpath.normpath(posixpath.join("/base/tree", text)) == f"/base/tree/{text}"
    assert len(text.encode()) <= paths.MAX_PATH_BYTES
    assert all(0 < len(piece.encode()) <= 255 for piece in text.split("/"))
    assert text.isprintable() or not any(c < " " or c in "\x7f\\" for c in text)
    assert "/".join(filter(None, paths.split_path(text))) == text


@given(st.text(min_size=1, max_size=40))
def test_split_and_relpath_refuse_the_same_single_pieces(text):
    def outcome(check):
        try:
            return check(text)
        except ValueError:
            return None

    if "/" not in text:
        assert (outcome(paths.split_path) is None) == (outcome(paths.parse_rel) is None)


def test_paths_have_an_end():
    paths.parse_rel("/".join(["a"] * paths.MAX_LEVELS))
    with pytest.raises(ValueError, match="levels"):
        paths.parse_rel("/".join(["a"] * (paths.MAX_LEVELS + 1)))
    paths.parse_rel("/".join(["é" * 100] * 5))
    with pytest.raises(ValueError, match="bytes"):
        paths.parse_rel("/".join(["é" * 100] * 6))
    with pytest.raises(ValueError, match="over 255 bytes"):
        paths.path_component("é" * 128)


# -- files of a tree, and what a stage holds ---------------------------------------------------------------------------


def test_files_stand_below_their_resource_s_folder():
    folder = paths.resource_folder("4", "DICOM")
    assert folder == "scans/4/resources/DICOM/files"
    assert paths.resource_folder(None, "NOTES") == "resources/NOTES/files"
    assert paths.path_below(folder, "a/1.dcm") == paths.resource_file("4", "DICOM", "a/1.dcm") == f"{folder}/a/1.dcm"
    assert paths.relative_to(folder, paths.path_below(folder, "a/1.dcm")) == "a/1.dcm"
    assert paths.path_below(paths.TREE_ROOT, "a") == "a"
    assert paths.scan_folder("4") == "scans/4"


def test_the_stage_has_a_tree_for_each_job_and_folders_for_what_is_read():
    assert paths.job_tree(3) == "tree/3"
    folder = paths.image_folder(paths.uid_key("1.2"), paths.uid_key("1.2.3"), "D")
    assert re.fullmatch("in/[0-9a-f]{24}/[0-9a-f]{24}/D", folder)
    assert paths.alternate_path(paths.path_below(folder, "x.dcm"), "00ff") == f"{folder}/x.dcm~00ff"
    assert paths.uid_key("../../etc") != paths.uid_key("../../etc/")
    assert paths.parse_rel(paths.image_folder(paths.uid_key("../.."), paths.uid_key("/"), "S"))


@given(texts)
def test_what_the_rules_make_of_any_text_can_stand(text):
    """Ids of scans come from headers and folders, labels of resources from folders; none may fail when it is stored."""
    assert paths.resource_folder(id_stem(NewSeries(uid="1.2.3", number=text)), clean_label(text) or "files")
    assert paths.scan_folder(id_stem(NewSeries(uid=text)))
    assert paths.archive_path(clean_label(text) or "P", clean_label(text) or "L")


# -- what stands under DATA --------------------------------------------------------------------------------------------


def test_what_stands_under_data():
    assert paths.spool_file("u1") == "incoming/u1/archive"
    assert paths.lock_file("u1") == "work/u1/lock"
    assert paths.staged_path(paths.stage_folder("u1", "t1"), paths.job_tree(0)) == "work/u1/t1/tree/0"
    assert paths.upload_of(paths.stage_folder("u1", "t1")) == "u1"
    assert paths.receipt_file("u1") == "receipts/u1.jsonl.gz"
    assert paths.trash_tree("20261124T081530-6f1c") == "trash/20261124T081530-6f1c/tree"
    assert paths.trash_note("20261124T081530-6f1c") == "trash/20261124T081530-6f1c/what.json"
    assert paths.parent_folders(paths.archive_path("P", "L")) == ["archive/P", "archive"]


def test_a_stored_tree_is_found_at_its_path_or_in_the_trash():
    for text, tree in ("archive/P/L", "archive/P/L"), ("trash/2026-1", "trash/2026-1/tree"):
        assert paths.tree_of(paths.parse_stored(text)) == tree


@pytest.mark.parametrize("text", ["", ".", "..", "a/b", "../u1", "a.b", "a\0", "x" * 129])
def test_no_id_leads_out_of_its_folder(text):
    for build in (
        paths.work_folder, paths.lock_file, paths.spool_folder, paths.spool_file, paths.receipt_file,
        paths.trash_entry, paths.trash_tree, paths.trash_note,
        lambda text: paths.stage_folder(text, "t"), lambda text: paths.stage_folder("u", text),
        lambda text: paths.parse_stored(f"trash/{text}"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="not a label"):
            build(text)


@pytest.mark.parametrize("text", ["", "..", "a/../b", "/a", "a//b", "a\\b"])
def test_nothing_in_a_stage_leads_out_of_it(text):
    with pytest.raises(ValueError, match="not a file name"):
        paths.staged_path(paths.stage_folder("u", "t"), paths.unchecked_path(text))


@pytest.mark.parametrize(
    "parts",
    [("work", "P", "", "L"), ("archive", "P", STAMP, "L"), ("resources", "P", STAMP, "k"), ("prearchive", "P", "", "L"),
     ("archive", "..", "", "L"), ("archive", "P", "", "a/b"), ("prearchive", "P", "../../..", "L"), ("", "P", "", "L")],
)  # fmt: skip
def test_no_parts_of_something_else_make_a_tree_path(parts):
    with pytest.raises(ValueError, match="not "):
        paths.tree_path(TreeParts(*parts))


@pytest.mark.parametrize("text", ["work", "archive/..", "archive/P/../..", "archive/P/L/x/y", "", "/archive"])
def test_no_other_folder_is_walked(text):
    with pytest.raises(ValueError, match="not "):
        paths.parse_prefix(text)


@given(st.lists(st.sampled_from(["a", "..", "x y", "1.dcm", "20260102_030405678"]), min_size=1, max_size=6))
def test_what_is_met_under_an_area_is_cut_in_two(pieces):
    for area in paths.AREAS:
        path = "/".join((area, *pieces))
        for is_folder in (False, True):
            name, rel = paths.split_tree(path, is_folder=is_folder)
            assert "/".join(filter(None, (name, rel))) == path


def test_an_empty_folder_is_told_of_where_a_tree_could_stand():
    deep = ["archive/P/L", "resources/P/k", f"prearchive/P/{STAMP}/L", "archive/P/L/x"]
    above = ["archive", "archive/P", "resources/P", "prearchive/P", f"prearchive/P/{STAMP}"]
    assert [name for name in (*deep, *above) if paths.is_as_deep_as_trees(name)] == deep


# -- one home ----------------------------------------------------------------------------------------------------------


def test_mypy_lets_nobody_else_make_one() -> None:
    """Strict mypy refuses an `ignore` that nothing needs: were one of these allowed, `make lint` would fail."""
    for made in (
        paths.DataPath("work/u"),  # type: ignore[abstract]
        paths.TreePath("archive/P/L"),  # type: ignore[abstract]
        paths.RelPath("scans/1"),  # type: ignore[abstract]
    ):
        assert isinstance(made, str)


def test_mypy_lets_nobody_give_the_store_a_plain_string(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.prepare()
    assert store.current("archive/P/L") is None  # type: ignore[arg-type]
    assert store.current(paths.parse_rel("archive/P/L")) is None  # type: ignore[arg-type]
    stage = store.begin("u", "t")
    assert not stage.exists("a")  # type: ignore[arg-type]
    assert not stage.exists(f"{paths.job_tree(1)}/a")  # type: ignore[arg-type]
    assert not stage.exists(paths.job_tree(1) + "/a")  # type: ignore[arg-type]
    stage.close()
    store.close()


SOURCE = Path(scandock.__file__).parent
AREAS = "archive|prearchive|resources|scans|work|trash|incoming|receipts"
STARTS = re.compile(rf"^({AREAS}|in|tree|loose|ecat|inner|repeats)/$|^({AREAS})/")
"""How the text of a path begins; addresses begin with a slash, or with what they stand behind."""
INNER = re.compile(r"^(/?resources/|/files/)")
LAYOUTS = {
    (
        "services/resource_zips.py",
        "member_name",
    ): "The layout of XNAT's zips, whose scans have their type in the folder's name.",
    ("pipeline/verdicts.py", "_describe_resource_folders"): "A sentence about folders of the archive that came.",
}
ADDRESSES = ("web/", "model/uris.py", "web/xnat/services/contents.py", "services/manifests.py", "cli/")
"""Where `/resources/` and `/files/` stand in addresses, whose own home is another."""


def composed(tree: ast.Module, path: str) -> Iterator[tuple[int, str, str]]:
    """Where a module puts a stored path together or casts one: line, function, text."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Module):
            name = getattr(function, "name", "")
            for node in _own(function):
                texts = _pieces(node)
                is_inner = any(INNER.search(text) for text in texts[1:]) and not path.startswith(ADDRESSES)
                if (texts and STARTS.search(texts[0])) or is_inner or _is_cast(node):
                    yield node.lineno, name, ast.unparse(node)


def _own(function: ast.AST) -> Iterator[ast.expr]:
    """The expressions of a function, or of a module, without those of the functions in it."""
    for child in ast.iter_child_nodes(function):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(child, ast.expr):
            yield child
        yield from _own(child)


def _pieces(node: ast.expr) -> list[str]:
    """The constant pieces of an expression that puts a text together, in order; the first is "" where a value leads."""
    match node:
        case ast.JoinedStr(values=values):
            found = [value.value if isinstance(value, ast.Constant) else "" for value in values]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            found = [side.value if isinstance(side, ast.Constant) else "" for side in (left, right)]
        case ast.BinOp(left=ast.Constant(value=text), op=ast.Mod()):
            found = [text, ""]
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=text), attr="format")):
            found = [text, ""]
        case ast.Call(func=ast.Attribute(value=ast.Constant(value="/"), attr="join"), args=[ast.Tuple(elts=values)]):
            found = [str(value.value) + "/" if isinstance(value, ast.Constant) else "" for value in values]
        case _:
            return []
    return [text for text in found if isinstance(text, str)]


def _is_cast(node: ast.expr) -> bool:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name | ast.Attribute) or not node.args:
        return False
    types = {"TreePath", "RelPath", "DataPath"}
    called = ast.unparse(node.func).rpartition(".")[2]
    return called in types or (called == "cast" and ast.unparse(node.args[0]).strip("'").rpartition(".")[2] in types)


@pytest.mark.parametrize(
    "code",
    [
        'f"archive/{project}/{label}"',
        'f"scans/{scan}/resources/{label}/files/{name}"',
        'f"{scan}resources/{label}/files/"',
        '"work/" + upload',
        '"trash/%s/tree" % number',
        '"receipts/{}.jsonl.gz".format(upload)',
        '"/".join(("archive", project, label))',
        'f"in/{study}/{series}/{kind}"',
        'f"tree/{n}"',
        'cast("TreePath", text)',
        "cast(paths.RelPath, text)",
        "paths.TreePath(text)",
    ],
)
def test_each_way_to_compose_a_path_is_seen(code: str) -> None:
    assert list(composed(ast.parse(f"def made():\n    return {code}"), "pipeline/x.py"))


def test_the_store_alone_takes_paths_unchecked() -> None:
    """It is for what is on the disk or in rows of trees, for what the ledger has of a merge or a
    reader tells, which is checked as it is opened, and for what a receipt
    says was stored.
    """
    sources = {str(path.relative_to(SOURCE)): path.read_text() for path in SOURCE.rglob("*.py")}
    assert {path for path, text in sources.items() if re.search(r"\bunchecked_path\(", text)} == {
        "pipeline/session_merge.py", "publishing/receipts.py",
        "store/paths.py", "store/file_access.py", "store/stages.py", "store/s3_stages.py", "store/file_places.py",
        "store/packs.py", "store/known_files.py", "store/null_stage.py",
    }  # fmt: skip


def test_paths_are_composed_in_one_module_alone() -> None:
    known, elsewhere = set(), []
    looked = re.compile(
        rf"[\"']({AREAS}|in|tree|loose|ecat|inner|repeats)/|resources/|/files|cast\(|Path\(|\"/\"\.join"
    )
    for file in sorted(SOURCE.rglob("*.py")):
        path, text = str(file.relative_to(SOURCE)), file.read_text()
        if path == "store/paths.py" or not looked.search(text):
            continue
        for line, function, what in composed(ast.parse(text), path):
            if (path, function) in LAYOUTS:
                known.add((path, function))
            else:
                elsewhere.append(f"{path}:{line}: {what}")
    assert elsewhere == []
    assert known == LAYOUTS.keys()
