"""`scandock deidentify` as a person and a script run it: words, exit codes, JSON; kills and terminals by processes."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import zipfile
from pathlib import Path

import pydicom
import pytest

from tests.builders import Image, ecat, zip_entries
from tests.integration.in_process import call_in_process
from tests.integration.small_disks import small_disk
from tests.integration.test_cli_import import SCANDOCK, Terminal, environment

SCRIPT = 'version "6.6"\n(0010,0010) := subject\n(0010,0020) := hashUID[(0010,0020)]\n'
ANY_SCRIPT = 'version "6.6"\n(0010,0010) := "X"\n'


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    (folder / "1.dcm").write_bytes(Image(case="cli", number=1).file())
    (folder / "sub/2.dcm").write_bytes(Image(case="cli", number=2).file())
    (folder / "pet.v").write_bytes(ecat())
    (tmp_path / "script.das").write_text(SCRIPT)
    (tmp_path / "key").write_bytes(b"k" * 32)
    return tmp_path


def deidentify(*words, **changes):
    done = call_in_process("deidentify", *words, SCANDOCK_DEBUG="1", **changes)
    assert "Traceback" not in done.stderr
    return done


def lines(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_script_and_the_profile_on_files_folders_and_archives(files):
    archive = files / "exam.zip"
    archive.write_bytes(zip_entries({"a/3.dcm": Image(case="cli", number=3).file()}))
    done = deidentify(
        files / "in", archive, "--out", files / "out", "--script", files / "script.das", "--variable", "subject=S-1",
        "--variable", "session=E=1", "--profile", "basic,retain-patient", "--key", files / "key", "--json",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert all(set(line) == {"path", "result", "code", "message", "out"} for line in lines(done))
    assert [(line["result"], line["code"], line["out"]) for line in lines(done)] == [
        ("ok", "", "1.dcm"),
        ("ok", "ecat_script", "pet.v"),
        ("ok", "", "sub/2.dcm"),
        ("ok", "", "exam.zip/a/3.dcm"),
    ]
    assert lines(done)[3]["path"] == f"{archive}!a/3.dcm"
    assert below(files / "out") == ["1.dcm", "exam.zip/a/3.dcm", "pet.v", "sub/2.dcm"]
    objects = [pydicom.dcmread(files / "out" / name) for name in ("1.dcm", "sub/2.dcm", "exam.zip/a/3.dcm")]
    assert {str(one.PatientIdentityRemoved) for one in objects} == {"YES"}
    assert len({one.StudyInstanceUID for one in objects}) == 1  # one study before, one after
    assert objects[0].StudyInstanceUID.startswith("2.25.")
    originals = [pydicom.dcmread(files / "in/1.dcm"), pydicom.dcmread(files / "in/sub/2.dcm")]
    assert [one.PixelData for one in objects[:2]] == [one.PixelData for one in originals]
    assert b"E=1\0" in (files / "out/pet.v").read_bytes()[166:182]
    again = deidentify(files / "in", "--out", files / "again", "--profile", "basic", "--key", files / "key", "--json")
    assert again.returncode == 0
    assert pydicom.dcmread(files / "again/1.dcm").StudyInstanceUID == objects[0].StudyInstanceUID


def test_scripts_run_in_the_order_given(files):
    first, second = files / "a.das", files / "b.das"
    first.write_text('version "6.6"\n(0008,1030) := "first"\n')
    second.write_text('version "6.6"\n(0008,1030) = "first" ? (0008,1030) := "second" : (0008,1030) := "alone"\n')
    source = files / "in/1.dcm"
    for scripts, expected in (((first, second), "second"), ((second, first), "first")):
        words = [word for script in scripts for word in ("--script", script)]
        done = deidentify(source, "--out", files / "out", *words, "--overwrite")
        assert done.returncode == 0, done.stderr
        assert pydicom.dcmread(files / "out/1.dcm").StudyDescription == expected


def test_lookup_tables_and_a_variable_without_a_value(files):
    script = files / "lookup.das"
    script.write_text('version "6.6"\n(0010,0010) := lookup["name", (0010,0020)]\n')
    (files / "table").write_text("name/PAT1 = Known One\n")
    done = deidentify(files / "in/1.dcm", "--out", files / "out", "--script", script, "--lookup", files / "table")
    assert done.returncode == 0, done.stderr
    assert pydicom.dcmread(files / "out/1.dcm").PatientName == "Known One"
    done = deidentify(files / "in/1.dcm", "--out", files / "none", "--script", files / "script.das", "--json")
    (line,) = lines(done)
    assert (done.returncode, line["result"], line["code"], line["out"]) == (3, "error", "deid_script", None)
    assert "script.das, line 2" in line["message"]
    assert "JANE" not in done.stdout + done.stderr
    assert below(files / "none") == []


def test_a_refused_script_is_said_with_its_place_and_nothing_is_read(files):
    bad, worse = files / "bad.das", files / "worse.das"
    bad.write_text('version "6.6"\n(0010,0010) := "X\n')
    worse.write_text('(0010,0010) := "X"\n')
    words = ["--script", files / "script.das", "--script", bad, "--script", worse]
    done = deidentify(files / "in", "--out", files / "out", *words, "--json")
    assert done.returncode == 2
    assert [(line["path"], line["result"], line["out"]) for line in lines(done)] == [
        (str(bad), "refused", None),
        (str(worse), "refused", None),
    ]
    assert lines(done)[0]["code"] == "script_refused"
    assert "line 2, column" in lines(done)[0]["message"]
    assert "version" in lines(done)[1]["message"]
    assert not (files / "out").exists()
    done = deidentify(files / "in", "--out", files / "out", *words)
    assert done.returncode == 2
    assert done.stdout.startswith(f"refused: {bad}: line 2, column ")
    assert len(done.stdout.splitlines()) == 2
    latin, long = files / "latin.das", files / "long.das"
    latin.write_bytes(b'version "6.6"\n// \xe9\n')
    long.write_bytes(b'version "6.6"\n'.ljust(64 * 1024 + 1))
    words = ["--script", latin, "--script", long, "--script", bad]
    done = deidentify(files / "in", "--out", files / "out", *words, "--json")
    assert done.returncode == 2
    assert [(line["path"], line["result"], line["code"]) for line in lines(done)] == [
        (str(latin), "refused", "script_not_text"),
        (str(long), "refused", "script_not_text"),
        (str(bad), "refused", "script_refused"),
    ]
    assert "no text in UTF-8 of at most 65,536 bytes" in lines(done)[0]["message"]
    assert not (files / "out").exists()


def test_people_get_a_line_for_each_failure_and_sums(files):
    (files / "in/note.txt").write_text("hello")
    (files / "in/cut.dcm").write_bytes(Image(case="cli", number=4).file()[:300])
    reject = files / "reject.das"
    reject.write_text('version "6.6"\n(0008,0060) = "CT" ? reject[]\n')
    (files / "in/ct.dcm").write_bytes(Image(case="cli", number=5, modality=b"CT").file())
    done = deidentify(files / "in", "--out", files / "out", "--script", reject, "--profile", "basic")
    assert done.returncode == 3
    out = done.stdout.splitlines()
    assert out[0] == f"rejected: {files}/in/ct.dcm: A script rejects it. [deid_rejected]"
    assert out[1].startswith(f"error: {files}/in/cut.dcm: The object")
    assert out[1].endswith("[deid_unreadable]")
    assert out[2] == f"error: {files}/in/note.txt: It is neither DICOM nor ECAT 7. [not_an_image]"
    assert out[-1].startswith(f"3 files written to {files}/out (")
    assert ", 1 rejected, 2 errors, in " in out[-1]
    assert done.stderr == (
        "Note: without --key, UIDs and dates are made with a key of this run: those of another run will differ.\n"
    )
    again = deidentify(files / "in/1.dcm", "--out", files / "out", "--profile", "basic", "--key", files / "key")
    assert again.returncode == 3
    assert again.stdout.startswith(
        f"refused: {files}/in/1.dcm: The output folder has a file of that name already."
        " --overwrite replaces files, but no folders. [output_exists]\nNo file written, 1 refused, in "
    )


def test_inputs_share_a_warning_where_it_says_the_same_of_them(files):
    for name, also in {
        "a": {0x00080070: (b"LO", b"DOEJANE^X ")},
        "b": {0x00080070: (b"LO", b"DOEJANE^X ")},
        "c": {0x00081090: (b"LO", b"DOEJANE^X "), 0x00080060: (b"CS", b"US")},
        "d": {0x00280301: (b"CS", b"YES ")},
    }.items():
        image = Image(case="cli", number=1, also={0x00100010: (b"PN", b"DOEJANE^X "), **also})
        (files / f"{name}.dcm").write_bytes(image.file())
    names = [files / f"{name}.dcm" for name in "abcd"]
    done = deidentify(*names, "--out", files / "out", "--profile", "basic,clean-descriptors", "--key", files / "key")
    assert done.returncode == 0
    warnings = [line for line in done.stdout.splitlines() if line.startswith("warning: ")]
    left, looks = (
        "Values that identify the original's patient or study are still in",
        "The pixels could show the patient's name or other texts:",
    )
    assert [line.removeprefix(f"warning: {files}/").partition(". ")[0] for line in warnings] == [
        f"a.dcm and 1 other: {left} (0008,0070)",
        f"c.dcm: {left} (0008,1090)",
        f"c.dcm: {looks} its modality is US",
        f"d.dcm: {looks} the object says so",
    ]


def test_the_key_of_a_run_is_said_only_where_a_key_is_needed(files):
    keyed, plain = files / "keyed.das", files / "plain.das"
    keyed.write_text('version "6.6"\n(0008,0018) := mapUID[(0008,0018), "1.2.3"]\n')
    plain.write_text('version "6.6"\n(0008,0018) := hashUID[(0008,0018)]\n')
    for rules, is_said in (
        (["--script", keyed], True),
        (["--script", plain], False),
        (["--script", plain, "--profile", "basic"], True),
        (["--profile", "basic,retain-uids"], True),  # days of ECAT files
        (["--profile", "basic,retain-uids,retain-full-dates"], False),
    ):
        done = deidentify(files / "in/1.dcm", "--out", files / "out", *rules, "--overwrite")
        assert done.returncode == 0
        assert ("Note: without --key" in done.stderr) == is_said, rules


def test_rejections_alone_end_well_and_no_rules_are_warned_of(files):
    reject = files / "reject.das"
    reject.write_text('version "6.6"\nreject[]\n')
    done = deidentify(files / "in", "--out", files / "out", "--script", reject, "--key", files / "key", "--json")
    assert done.returncode == 0
    assert {line["result"] for line in lines(done)} == {"reject"}
    assert below(files / "out") == []
    done = deidentify(files / "in/1.dcm", "--out", files / "out", "--key", files / "key")
    assert done.returncode == 0
    assert done.stderr.startswith("Warning: without --script and --profile nothing is removed")


def test_a_folder_without_files_is_said_and_no_error(files):
    empty = files / "empty"
    (empty / "sub").mkdir(parents=True)
    note = f"Note: no files were found below {empty}.\n"
    words = ("--out", files / "out", "--profile", "basic", "--key", files / "key")
    done = deidentify(empty, *words)
    assert (done.returncode, done.stderr) == (0, note)
    assert done.stdout.startswith("No file written, in ")
    done = deidentify(empty, files / "in/1.dcm", *words, "--json")
    assert (done.returncode, done.stderr) == (0, note)
    assert [line["result"] for line in lines(done)] == ["ok"]


def test_a_path_that_can_not_be_read_is_an_error_of_its_own(files, monkeypatch):
    loop = files / "loop"
    loop.symlink_to(loop)
    closed = files / "closed.dcm"
    closed.write_bytes(Image(case="cli", number=7).file())
    access, opened = os.access, os.open

    def open_(path, *args, **keywords):
        if str(path) == str(closed):
            raise PermissionError(13, "Permission denied")
        return opened(path, *args, **keywords)

    monkeypatch.setattr(
        os, "access", lambda path, *args, **more: str(path) != str(closed) and access(path, *args, **more)
    )
    monkeypatch.setattr(os, "open", open_)
    done = deidentify(loop, closed, files / "in/1.dcm", "--out", files / "out", "--profile", "basic", "--json")
    assert done.returncode == 3
    assert [(line["path"], line["result"], line["code"]) for line in lines(done)] == [
        (str(loop), "error", "unreadable"),
        (str(closed), "error", "unreadable"),
        (str(files / "in/1.dcm"), "ok", ""),
    ]
    assert lines(done)[1]["message"] == "The file can't be read: permission denied."
    missing = deidentify(files / "missing", files / "in/1.dcm", "--out", files / "none", "--profile", "basic")
    assert missing.returncode == 2
    assert not (files / "none").exists()


def test_wrong_usage_is_one_sentence(files):
    source = files / "in"
    (files / "empty").write_bytes(b"")
    (files / "table").write_text("nothing\n")
    (files / "file").write_text("")
    for words, expected in (
        ([source, "--out", source / "out"], "--out "),
        ([source, "--out", source], "--out "),
        ([source, "--out", files], "--out "),
        ([source, "--out", files / "file"], "is no folder that can be written to"),
        ([files / "missing", "--out", files / "out"], "There is no file or folder"),
        ([source, "--out", files / "out", "--profile", "basic,retain-everything"], "no option of the profile"),
        ([source, "--out", files / "out", "--profile", "retain-uids"], "A profile begins with basic"),
        ([source, "--out", files / "out", "--variable", "subject"], "is not NAME=VALUE"),
        ([source, "--out", files / "out", "--key", files / "empty"], "has 0 bytes"),
        ([source, "--out", files / "out", "--key", files / "missing"], "can't be read"),
        ([source, "--out", files / "file/sub"], "is no folder that can be written to"),
        ([source, "--out", files / "file/sub/below"], "is no folder that can be written to"),
        ([source, "--out", files / "out", "--variable", "a=1", "--variable", "a=1"], "--variable a is given more"),
        ([source, "--out", files / "out", "--script", files / "missing"], "can't be read"),
        ([source, "--out", files / "out", "--lookup", files / "table"], "is not type/key = value"),
    ):
        done = deidentify(*words)
        assert (done.returncode, done.stdout) == (2, ""), words
        assert expected in done.stderr
        assert done.stderr.startswith("Error: ")
        assert len(done.stderr.splitlines()) == 1
    assert below(files / "in") == ["1.dcm", "pet.v", "sub/2.dcm"]
    assert not (files / "out").exists()


def test_residue_is_refused_by_setting(files):
    left = Image(case="cli", patient_name=b"SALTMARY", also={0x00180024: (b"SH", b"saltmary 3d")})
    source = files / "left.dcm"
    source.write_bytes(left.file())
    words = [source, "--out", files / "out", "--profile", "basic", "--json"]
    (refused,) = lines(deidentify(*words, SCANDOCK_DEID_RESIDUE="refuse"))
    assert (refused["result"], refused["code"], refused["out"]) == ("error", "deid_residue", None)
    (warned,) = lines(deidentify(*words))
    assert (warned["result"], warned["code"], warned["out"]) == ("ok", "deid_residue", "left.dcm")
    assert "(0018,0024)" in warned["message"]
    assert "saltmary" not in (refused["message"] + warned["message"]).lower()


def test_archives_are_held_to_the_limits_of_imports(files):
    archive = files / "many.zip"
    archive.write_bytes(zip_entries({f"{n}.dcm": Image(case="cli", number=n).file() for n in range(4)}))
    done = deidentify(archive, "--out", files / "out", "--profile", "basic", "--json", SCANDOCK_MAX_ENTRIES="3")
    assert (done.returncode, lines(done)[-1]["path"], lines(done)[-1]["code"]) == (3, str(archive), "too_many_entries")


def test_an_input_is_never_replaced(files):
    source = files / "in/1.dcm"
    before = source.read_bytes()
    done = deidentify(source, "--out", files / "in", "--profile", "basic", "--overwrite", "--json")
    assert (done.returncode, lines(done)[0]["code"]) == (3, "output_is_input")
    assert source.read_bytes() == before


def test_an_ecat_file_says_what_a_script_does_to_it(files):
    source = files / "in/pet.v"
    script = files / "ecat.das"
    script.write_text(
        'version "6.6"\n(0008,0020) := shiftDateByIncrement[(0008,0020), "-3"]\n'
        '(0010,0010) := format["P-{0}", subject]\n- (0010,0020)\n(0010,0030) := "19700102"\n'
        '(0008,0080) != "X" ? (0008,0080) := uppercase["clinic"]\n- (0008,1030)\n*/(0008,1070) ?= "N"\n'
    )
    done = deidentify(
        source, "--out", files / "out", "--script", script, "--variable", "subject=7", "--key", files / "key", "--json"
    )
    (line,) = lines(done)
    assert (done.returncode, line["result"], line["code"]) == (0, "ok", "ecat_script")
    before, after = source.read_bytes(), (files / "out/pet.v").read_bytes()
    assert after[182:214] == b"P-7".ljust(32, b"\0")
    assert after[166:182] == bytes(16)
    assert after[228:232] == b"\0\1\x51\x80"
    assert after[332:352] == b"CLINIC".ljust(20, b"\0")
    changed = [at for at in range(len(before)) if before[at] != after[at]]
    assert {at for at in changed if not (166 <= at < 232 or 264 <= at < 352)} == set()
    assert len(before) == len(after)


# -- what needs processes ----------------------------------------------------------------------------------------------


@pytest.fixture
def many(files):
    folder = files / "many"
    folder.mkdir()
    for number in range(600):
        (folder / f"{number:03}.dcm").write_bytes(Image(case="cli", number=number).file())
    return folder


def start(*words):
    return subprocess.Popen(
        [SCANDOCK, "deidentify", *map(str, words)], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip


@pytest.mark.processes
def test_a_kill_leaves_whole_files_and_ctrl_c_says_so(files, many):
    words = [many, "--profile", "basic", "--key", files / "key"]
    whole = deidentify(*words, "--out", files / "whole")
    assert whole.returncode == 0
    for number, code, name in ((signal.SIGKILL, -9, "killed"), (signal.SIGINT, 130, "cancelled")):
        process = start(*words, "--out", files / name, "--json")
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["result"] == "ok"
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
        assert process.returncode == code
        assert ("Cancelled: what is written is whole" in said) == (number == signal.SIGINT)
        names = below(files / name)
        assert 0 < len(names) < 600
        for written in names:
            assert (files / name / written).read_bytes() == (files / "whole" / written).read_bytes()
    assert below(files / "whole") == [f"{number:03}.dcm" for number in range(600)]
    assert sorted(path.name for path in files.iterdir() if path.name.startswith(".")) == []


@pytest.mark.processes
def test_on_a_terminal_progress_goes_and_failures_stay(files):
    (files / "in/note.txt").write_text("hello")
    terminal = Terminal("deidentify", files / "in", "--out", files / "out", "--profile", "basic", width=100)
    assert terminal.end() == 3
    live, _, end = terminal.text.rpartition("\x1b[?25h")
    assert "reading" in live
    assert "not_an_image" in end
    assert "3 files written to" in end


@pytest.mark.processes
def test_a_full_disk_is_a_fault_and_leaves_nothing_half(files):
    with small_disk(files / "disk") as mount:
        disk = mount("300k")
        large = Image(case="cli", number=9, also={0x7FE00010: (b"OW", bytes(400_000))}).file()
        (files / "in/large.dcm").write_bytes(large)
        done = deidentify(files / "in", "--out", disk / "out", "--profile", "basic", "--json")
        assert done.returncode == 1
        assert lines(done)[-1]["code"] == "disk_full"
        assert "could not be written: no space left on device" in done.stderr
        assert below(disk) == ["out/1.dcm"]


@pytest.mark.processes
def test_output_that_nobody_reads_ends_nothing(files, many):
    process = start(many, "--out", files / "out", "--profile", "basic", "--json")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr:
        assert process.wait(timeout=60) == 0
    assert len(below(files / "out")) == 600


def test_names_are_numbered_in_json_too_where_outputs_are(files):
    done = deidentify(files / "in", "--out", files / "out", "--profile", "basic", "--names", "number", "--json")
    assert [line["out"] for line in lines(done)] == ["#1.dcm", "#2.v", "#3.dcm"]
    assert below(files / "out") == ["#1.dcm", "#2.v", "#3.dcm"]


def test_bytes_of_names_that_are_no_text_are_kept(files):
    odd = os.fsdecode(b"caf\xe9.dcm")
    Path(files / "in" / odd).write_bytes(Image(case="cli", number=7).file())
    done = deidentify(files / "in", "--out", files / "out", "--profile", "basic", "--json")
    assert "caf\\udce9.dcm" in [line["out"] for line in lines(done)]
    assert done.stdout.encode("utf-8")
    assert all(json.dumps(line, ensure_ascii=False).encode("utf-8") for line in lines(done))
    assert (files / "out" / odd).exists()
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        archive.writestr("x.dcm", Image(case="cli", number=8).file())
    (files / os.fsdecode(b"\xff.zip")).write_bytes(raw.getvalue())
    done = deidentify(files / os.fsdecode(b"\xff.zip"), "--out", files / "o2", "--profile", "basic", "--json")
    assert lines(done)[0]["out"] == "\\udcff.zip/x.dcm"
