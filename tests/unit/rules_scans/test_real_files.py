"""The types, ids and attributes of the real files beside the project."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict

import pydicom
import pytest
from pydicom import config

from scandock.model.series import SeriesTally
from scandock.model.tags import PER_OBJECT, TAGS
from scandock.rules.scan_attributes import scan_attributes
from scandock.rules.scan_ids import assign_scan_ids, new_series
from scandock.rules.session_attributes import session_attributes
from scandock.rules.session_types import session_type
from scandock.rules.sop_classes import is_primary, scan_type

pytestmark = pytest.mark.corpus
DICOMDIR = "1.2.840.10008.1.3.10"


@pytest.fixture(scope="module")
def rows(corpus):
    with (corpus / "manifest.tsv").open(encoding="utf-8", newline="") as lines:
        found = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [row for row in found if row["kind"] == "DICOM" and row["StudyInstanceUID"] and row["sop_class"] != DICOMDIR]


@pytest.fixture(scope="module")
def studies(rows):
    by_study: defaultdict[str, defaultdict[str, list[dict[str, str]]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        by_study[row["StudyInstanceUID"]][row["SeriesInstanceUID"]].append(row)
    return by_study


def test_scan_types_over_all_files(rows):
    types = Counter((row["modality"], scan_type([row["sop_class"]])) for row in rows if row["sop_class"])
    by_modality = defaultdict(set)
    for modality, name in types:
        by_modality[modality].add(name.removeprefix("xnat:").removesuffix("ScanData"))
    assert by_modality["CT"] == {"ct"}
    assert by_modality["MR"] == {"mr"}
    assert by_modality["PT"] == {"pet"}
    assert by_modality["CR"] == {"cr"}
    assert by_modality["SM"] == {"sm"}
    assert by_modality["SR"] == {"sr"}  # 88.34, Comprehensive 3D SR, among them
    assert by_modality["SEG"] == {"seg"}  # 66.7, Label Map Segmentation, among them
    assert by_modality["US"] == {"us", "otherDicom"}  # 6, retired
    assert by_modality["RTDOSE"] == by_modality["RTSTRUCT"] == {"rtImage"}


def test_primary_and_secondary_over_all_files(rows):
    secondary = {row["modality"] for row in rows if row["sop_class"] and not is_primary(row["sop_class"])}
    assert {"CT", "MR", "PT", "CR", "SM", "RTDOSE"}.isdisjoint(secondary)
    assert {"SEG", "RTSTRUCT", "RTPLAN"} <= secondary


def test_a_study_of_one_modality_is_a_session_of_that_type(studies):
    expected = {"MR": "mr", "CT": "ct", "PT": "pet", "SR": "sr", "SEG": "seg", "RTDOSE": "rt", "RTSTRUCT": "rt"}
    checked: Counter[str] = Counter()
    for series in studies.values():
        files = [row for members in series.values() for row in members]
        modalities = {row["modality"] for row in files}
        if len(modalities) == 1 and (only := modalities.pop()) in expected:
            types = [scan_type({row["sop_class"] for row in members}) for members in series.values()]
            assert session_type(types, [only]) == f"xnat:{expected[only]}SessionData"
            checked[only] += 1
    assert checked["MR"] > 10
    assert checked["CT"] > 2


def tally_of(corpus, series_uid, members):
    made = SeriesTally(study_uid=members[0]["StudyInstanceUID"], series_uid=series_uid)
    for row in members:
        dataset = pydicom.dcmread(corpus / row["path"], force=True, stop_before_pixels=True, specific_tags=list(TAGS))
        made.objects += 1
        frames = str(dataset.get("NumberOfFrames", ""))
        made.frames += int(frames) if frames.isdigit() else 1  # one of pydicom's own files says 1A
        for element in dataset:
            if (
                element.tag in TAGS
                and element.tag not in PER_OBJECT
                and element.VR != "SQ"
                and element.value is not None
            ):
                many = isinstance(element.value, (list, pydicom.multival.MultiValue))
                made.add(int(element.tag), "\\".join(map(str, element.value)) if many else str(element.value))
    return made


@pytest.fixture(scope="module")
def tallies(corpus, studies):
    """Two files of each series are enough to see its attributes."""
    mode = config.settings.reading_validation_mode
    config.settings.reading_validation_mode = config.IGNORE
    try:
        return {
            study: [tally_of(corpus, uid, members[:2]) for uid, members in series.items()]
            for study, series in studies.items()
        }
    finally:
        config.settings.reading_validation_mode = mode


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
def test_every_real_session_and_scan_has_attributes(tallies):
    for study, series in tallies.items():
        found, _ = session_attributes(series)
        assert found["UID"] == study
        assert all(found.values())
        for one in series:
            assert scan_attributes(one)["quality"] == "usable"


@pytest.mark.filterwarnings("ignore")
def test_real_mr_scans_tell_their_geometry(tallies):
    classic = [
        scan_attributes(one)
        for series in tallies.values()
        for one in series
        if "1.2.840.10008.5.1.4.1.1.4" in one.values.get(0x00080016, {})
    ]
    assert len(classic) > 40
    told = Counter(name for found in classic for name in found)
    for name in ("parameters/voxelRes/x", "parameters/tr", "parameters/flip", "fieldStrength", "startTime"):
        assert told[name] > 0.8 * len(classic), name
    assert {"Tra", "Sag"} <= {found.get("parameters/orientation") for found in classic}


@pytest.mark.filterwarnings("ignore")
def test_every_real_series_gets_an_id_of_its_own(tallies):
    for series in tallies.values():
        ids = assign_scan_ids([new_series(one) for one in series], {})
        assert len({scan_id.casefold() for scan_id in ids.values()}) == len(series)
        numbers = Counter(new_series(one).number for one in series)
        for one in map(new_series, series):
            if one.number.isdigit() and numbers[one.number] == 1:
                assert ids[one.uid] == one.number
