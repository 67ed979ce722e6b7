"""What is refused before anything is imported: exit 2, one sentence, a remedy."""

from __future__ import annotations

import os

import pytest

from scandock.cli import checks
from scandock.model.errors import Usage


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "exam.zip"
    path.write_bytes(b"PK")
    return str(path)


def refused(check, *args, **kwargs):
    with pytest.raises(Usage) as caught:
        check(*args, **kwargs)
    return caught.value


def test_what_is_right_passes(archive, tmp_path):
    checks.check_archives([archive, str(tmp_path)])
    checks.check_data(str(tmp_path / "new" / "data"), [archive])
    checks.check_project("BRAIN_2-a")
    checks.check_project(None)
    checks.check_label("--subject", None)
    checks.check_file("--mapping", archive)
    checks.check_receipt(str(tmp_path / "receipt.jsonl"), [archive])


def test_the_missing_archive_is_named_even_among_good_ones(archive, tmp_path):
    missing = str(tmp_path / "none.zip")
    error = refused(checks.check_archives, [archive, missing])
    assert error.code == "archive_missing"
    assert repr(missing) in error.message
    assert refused(checks.check_archives, [archive + "/inside"]).code == "archive_missing"


def test_a_broken_link_is_missing_and_a_pipe_is_no_archive(tmp_path):
    link, pipe = tmp_path / "link.zip", tmp_path / "pipe.zip"
    link.symlink_to("nowhere")
    os.mkfifo(pipe)
    assert refused(checks.check_archives, [str(link)]).code == "archive_missing"
    assert refused(checks.check_archives, [str(pipe)]).code == "archive_special"


def test_a_name_that_no_system_takes_is_a_sentence():
    assert refused(checks.check_archives, ["a\0b"]).code == "archive_unreadable"
    assert refused(checks.check_archives, ["x" * 5000]).code == "archive_unreadable"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_archive_that_may_not_be_read(archive):
    os.chmod(archive, 0)
    assert "permission denied" in refused(checks.check_archives, [archive]).message


@pytest.mark.parametrize("project", ["", "a b", "a.b", "x" * 65, "Zürich", "../x", "a/b", "a\n"])
def test_a_bad_project_id_gets_the_pattern(project):
    error = refused(checks.check_project, project)
    assert error.code == "project_id_invalid"
    assert "[A-Za-z0-9_-]{1,64}" in error.remedy


def test_the_reserved_project_can_be_named_and_not_made():
    checks.check_project("Unassigned")
    assert refused(checks.check_new_project, "unassigned").code == "project_id_reserved"
    checks.check_new_project("P")


def test_an_empty_label_is_a_slip():
    assert refused(checks.check_label, "--session", " ").code == "label_empty"


def test_data_that_is_a_file_or_below_one(archive):
    assert refused(checks.check_data, archive).code == "data_not_a_folder"
    assert refused(checks.check_data, archive + "/data").code == "data_not_a_folder"
    assert refused(checks.check_data, "").code == "data_empty"


def test_data_that_must_be_there(tmp_path):
    assert refused(checks.check_data, str(tmp_path / "none"), must_exist=True).code == "data_missing"


def test_data_inside_the_folder_that_is_imported(tmp_path):
    inside = str(tmp_path / "export" / "data")
    os.mkdir(tmp_path / "export")
    assert refused(checks.check_data, inside, [str(tmp_path / "export")]).code == "data_in_archive"
    os.mkdir(tmp_path / "data")
    checks.check_data(str(tmp_path / "data"), [str(tmp_path / "export")])


def test_a_mapping_that_is_missing_or_a_folder(tmp_path):
    assert refused(checks.check_file, "--mapping", str(tmp_path / "none.csv")).code == "file_unreadable"
    assert "is a directory" in refused(checks.check_file, "--mapping", str(tmp_path)).message


def test_a_receipt_on_standard_output_is_refused(archive):
    error = refused(checks.check_receipt, "-", [archive])
    assert error.code == "receipt_not_writable"
    assert "standard output" in error.message


def test_a_receipt_never_overwrites_an_archive(archive, tmp_path):
    os.symlink(archive, tmp_path / "other.zip")
    assert refused(checks.check_receipt, archive, [archive]).code == "receipt_is_archive"
    assert refused(checks.check_receipt, str(tmp_path / "other.zip"), [archive]).code == "receipt_is_archive"
    assert refused(checks.check_receipt, str(tmp_path / "r.jsonl"), [str(tmp_path)]).code == "receipt_in_archive"
