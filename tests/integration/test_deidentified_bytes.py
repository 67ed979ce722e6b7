"""No byte of what `scandock deidentify` writes with the profile says who somebody is, wherever that stood before."""

from __future__ import annotations

import json

import pydicom
from pydicom.uid import ImplicitVRLittleEndian

from tests.integration.deid_marks import Marks, dicom_object, dicomdir, ecat_file, tar_of, zip_of
from tests.integration.in_process import call_in_process


def salted_inputs(folder, marks):
    """A folder whose name, files and archives are salted; what should be written of it."""
    top = folder / marks.new("folder")
    top.mkdir()
    objects = [dicom_object(marks, number=1), dicom_object(marks, number=2, syntax=ImplicitVRLittleEndian)]
    (top / f"{marks.new('file')}.dcm").write_bytes(objects[0])
    (top / f"{marks.new('file')}.ima").write_bytes(objects[1])
    (top / f"{marks.new('ECAT file')}.v").write_bytes(ecat_file(marks))
    (top / "DICOMDIR").write_bytes(dicomdir(marks))
    inner = zip_of(marks, [(f"{marks.new('entry')}.dcm", dicom_object(marks, number=3))])
    outer = [(f"{marks.new('inner archive')}.zip", inner), ("4", dicom_object(marks, number=4))]
    (top / f"{marks.new('archive')}.zip").write_bytes(zip_of(marks, [*outer, ("note.txt", marks.new("note").encode())]))
    packed = tar_of(marks, [(f"{marks.new('member')}.dcm", dicom_object(marks, number=5))])
    (top / f"{marks.new('tar')}.tar.gz").write_bytes(packed)
    cut = zip_of(marks, [("6.dcm", dicom_object(marks, number=6)), ("7.dcm", dicom_object(marks, number=7))])
    (top / "cut.zip").write_bytes(cut[:-400])
    (top / "cut.dcm").write_bytes(objects[0][:900])
    return top


def test_no_mark_is_left_anywhere(tmp_path):
    marks = Marks()
    top = salted_inputs(tmp_path, marks)
    out = tmp_path / "out"
    done = call_in_process("deidentify", top, "--out", out, "--profile", "basic", "--names", "number", "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    results = [line["result"] for line in lines]
    assert (done.returncode, results.count("ok"), results.count("reject")) == (3, 6, 1), lines
    written = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert len(written) == 6
    assert len(marks.texts) > 1500
    for path, data in written.items():
        assert marks.find(str(path.relative_to(out)).encode()) == []
        assert marks.find(data) == []
        assert b"19430713" not in data
    said = json.dumps([[line["code"], line["message"], line["out"]] for line in lines])
    assert marks.find((said + done.stderr).encode()) == []
    objects = [pydicom.dcmread(path) for path in written if path.suffix == ".dcm"]
    assert [one.PixelData for one in objects] == [bytes(range(32))] * 5
    # the search itself finds what is there
    assert len(marks.find(dicom_object(marks))) > 200


def test_no_option_lets_a_name_through(tmp_path):
    """Options keep what they say; none keeps a patient's name, id or address, or free texts of persons."""
    marks = Marks()
    source = tmp_path / "1.dcm"
    source.write_bytes(dicom_object(marks))
    every = "basic,retain-uids,retain-device,retain-institution,retain-patient,retain-full-dates,clean-descriptors"
    every += ",clean-structured,clean-graphics,safe-private"
    done = call_in_process("deidentify", source, "--out", tmp_path / "out", "--profile", every, "--json")
    assert json.loads(done.stdout)["result"] == "ok", done.stdout
    kept = {place.split(":")[0].split(" ")[-1] for place in marks.find((tmp_path / "out/1.dcm").read_bytes())}
    assert kept <= {
        "InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName", "StationName", "DeviceSerialNumber",
        "GantryID", "DetectorID", "PlateID", "CassetteID", "StationAETitle", "EthnicGroup", "Allergies",
        "PatientState",
    }, kept  # fmt: skip


def test_a_failing_script_writes_nothing_and_says_no_value(tmp_path):
    marks = Marks()
    source, script = tmp_path / "1.dcm", tmp_path / "fail.das"
    source.write_bytes(dicom_object(marks))
    out = tmp_path / "out"
    for body in (
        '(0010,0010) := substring[(0010,0020), "0", "900"]',
        '(0008,0020) := shiftDateByIncrement[(0010,0020), "3"]',
        "(0010,0010) := unknown",
        "(0028,0010) := (0010,0010)",
        "(0008,0060) := lowercase[(0010,9999)]",
    ):
        script.write_text(f'version "6.6"\n{body}\n')
        done = call_in_process("deidentify", source, "--out", out, "--script", script, "--json")
        assert (done.returncode, json.loads(done.stdout)["result"]) == (3, "error"), body
        assert marks.find((done.stdout + done.stderr).encode()) == []
        assert [path for path in out.rglob("*") if path.is_file()] == []
