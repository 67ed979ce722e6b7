"""The profile with its options, scored by the ten kinds of check of the public benchmark on generated objects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydicom.dataset import Dataset

from tests.unit.deidentification.generated import ROOT, deidentify, make_object, written
from tests.unit.deidentification.scorer import Check, Mappings, score
from tests.unit.deidentification.test_profile_actions import read

PROFILE = "basic,modified-dates,clean-descriptors,clean-structured,retain-patient,retain-device"
FILLED = range(2)
KINDS = {
    *("tag retained", "text not null", "text retained", "text removed", "date shifted", "uid changed"),
    *("uid consistent", "patient id consistent", "pixels hidden", "pixels retained"),
}


def _planted(kind: str, number: int) -> Dataset:
    """An object with known values in known places."""
    ds = make_object(kind, number)
    ds.SeriesDescription = "t1 sag knee left, Jane Doe 0815"
    ds.ImageComments = "contrast given by nurse Ratched"
    ds.AcquisitionDateTime = "20200131120200.5"
    return ds


def _answers(kind: str) -> list[Check]:
    image = kind in {"MR", "CT", "PT"}
    return [
        Check("tag retained", "StudyDate"),
        Check("tag retained", "PatientName"),
        Check("tag retained", "InstanceNumber"),
        Check("text not null", "Modality"),
        Check("text not null", "PatientID"),
        Check("text retained", "Manufacturer", "SIEMENS"),
        Check("text retained", "PatientWeight", "70"),
        Check("text retained", "StationName", "SCANNER7"),
        Check("text retained", "SeriesDescription", "t1 sag knee left"),
        Check("text retained", "ImageComments", "contrast by"),
        Check("text removed", "SeriesDescription", "Jane Doe 0815"),
        Check("text removed", "ImageComments", "nurse Ratched"),
        Check("text removed", "PatientName", "DOE JANE"),
        Check("text removed", "AccessionNumber", "ACC99887"),
        Check("text removed", "InstitutionName", "General Hospital"),
        Check("date shifted", "StudyDate"),
        Check("date shifted", "AcquisitionDateTime"),
        *(Check(what, path) for what in ("uid changed", "uid consistent") for path in _uids(image)),
        Check("patient id consistent", "PatientID"),
        *([Check("pixels hidden", rows=FILLED), Check("pixels retained", rows=range(2, 8))] if image else []),
    ]


def _uids(image: bool) -> Iterator[str]:
    yield from ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    if image:
        yield from ("FrameOfReferenceUID", "ReferencedImageSequence/0/ReferencedSOPInstanceUID")


def _fill(obj: Any) -> None:
    """Fill the first rows, as alterPixels of a script does."""
    raw = obj.data.value(0x7FE00010)
    obj.data.set_value(0x7FE00010, obj.data.vr(0x7FE00010), bytes(len(FILLED) * 16) + raw[len(FILLED) * 16 :])


def test_every_check_of_the_answer_table_is_met() -> None:
    mappings = Mappings({"PAT12345": "REMOVED"})
    seen = set()
    for kind in ("MR", "CT", "PT", "SR", "SEG"):
        for number in (1, 2):
            raw = written(_planted(kind, number))
            answers = _answers(kind)
            fill = _fill if kind in {"MR", "CT", "PT"} else None
            scores = score(answers, read(raw), read(deidentify(raw, PROFILE, change=fill)), mappings)
            assert {check: value for check, value in scores.items() if value < 1} == {}
            seen |= {check.kind for check in answers}
    assert seen == KINDS
    assert mappings.uids[ROOT + "101"] != mappings.uids[ROOT + "102"]


def test_an_object_that_nothing_was_done_to_fails_what_has_to_change() -> None:
    raw = read(written(_planted("MR", 1)))
    scores = score(_answers("MR"), raw, raw, Mappings({"PAT12345": "REMOVED"}))
    failed = {check.kind for check, value in scores.items() if value < 1}
    assert failed == {"text removed", "date shifted", "uid changed", "patient id consistent", "pixels hidden"}


def test_dropping_all_does_not_win() -> None:
    before, empty = read(written(_planted("MR", 1))), read(written(Dataset()))
    empty.Columns, empty.BitsAllocated, empty.PixelData = 8, 16, bytes(128)
    scores = score(_answers("MR"), before, empty, Mappings({"PAT12345": "REMOVED"}))
    failed = {check.kind for check, value in scores.items() if value < 1}
    assert failed == {
        *("tag retained", "text not null", "text retained", "date shifted", "patient id consistent", "pixels retained")
    }


def test_words_are_counted() -> None:
    before, after = Dataset(), Dataset()
    before.SeriesDescription, after.SeriesDescription = "knee left Doe", "knee Doe"
    checks = [
        Check("text retained", "SeriesDescription", "knee left"),
        Check("text removed", "SeriesDescription", "Doe x"),
    ]
    assert list(score(checks, before, after, Mappings({})).values()) == [0.5, 0.5]
