"""No byte of what `scandock deidentify` writes with the profile says who somebody is, wherever that stood before."""

from __future__ import annotations

import io
import json

import pydicom
from pydicom.uid import ImplicitVRLittleEndian

from tests.builders import Image
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


CHARSETS = {
    "ISO_IR 100": ("latin-1", "Müllerström"),
    "ISO_IR 144": ("iso8859-5", "Люкceмбypг"),
    "ISO_IR 126": ("iso8859-7", "Διονυσιος"),
    "ISO_IR 166": ("tis-620", "นายสมชาย"),
    "ISO_IR 192": ("utf-8", "Wang小東王"),
    "GB18030": ("gb18030", "王小东王小"),
    "\\ISO 2022 IR 87": ("iso2022_jp", "山田太郎山田"),
    "\\ISO 2022 IR 149": ("euc_kr", "김희중김희중"),
}


def test_names_in_eight_character_sets_go(tmp_path, subtests):
    for number, (charset, (codec, name)) in enumerate(CHARSETS.items()):
        with subtests.test(charset):
            source = tmp_path / f"{number}.dcm"
            data = pydicom.dcmread(io.BytesIO(Image(case="charsets", number=number).file()))
            data.SpecificCharacterSet = charset.split("\\")
            data.PatientName, data.PatientID, data.PatientComments = f"{name}^{name}", name, f"{name} {name}"
            data.ProtocolName, data.ImageComments = name, name
            item = pydicom.Dataset()
            item.PersonName, item.TextValue = name, name
            data.ContentSequence = [item]
            data.save_as(source)
            spellings = [name.encode(codec), name.encode(), name.encode("utf-16-le"), name.encode("utf-16-be")]
            assert spellings[0] in source.read_bytes() or "2022" in charset
            for options in ("basic", "basic,clean-descriptors,clean-structured"):
                out = tmp_path / f"out{len(options)}"
                done = call_in_process("deidentify", source, "--out", out, "--profile", options, "--json")
                assert json.loads(done.stdout)["result"] == "ok", done.stdout
                written = (out / source.name).read_bytes()
                assert not [spelling for spelling in spellings if spelling in written]
                assert not [spelling for spelling in spellings if spelling[-4:] in written]


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
