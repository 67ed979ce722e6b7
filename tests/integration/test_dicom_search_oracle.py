"""Searches compared with what another program says of the same files: the file client of Python's dicomweb-client."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from dicomweb_client.file import DICOMfileClient

from tests.builders import make_data_folder
from tests.integration.web import serve_in_process

pytestmark = pytest.mark.long

FOLDERS = (
    "blairconrad__dicognito", "FNNDSC__SAG-anon", "neurolabusc__dcm_qa_ct", "qurit__rt-utils",
    "suyashkumar__dicom", "pydicom__pydicom/src/pydicom/data/charset_files",
)  # fmt: skip
Json = dict[str, Any]

STUDY, SERIES, INSTANCE = "0020000D", "0020000E", "00080018"
FRAMES, MODALITIES = "00280008", "00080061"
OF_SERIES = frozenset({"00201206", MODALITIES})
"""What the file client says of studies by their series."""


def value(result: Json, tag: str) -> Any:
    """The values of an attribute as both say them: the file client takes what has no frames for one, and sorts not."""
    values = result.get(tag, {}).get("Value")
    if tag == FRAMES:
        return values or [1]
    return sorted(values) if values and tag == MODALITIES else values


def compare(
    ours: list[Json], theirs: list[Json], key: str, *, left_out: frozenset[str] = frozenset()
) -> Iterator[Json]:
    """All that the other program says of a result, ours says too; gives ours."""
    mine = {one[key]["Value"][0]: one for one in ours}
    other = {one[key]["Value"][0]: one for one in theirs}
    assert mine.keys() == other.keys()
    for uid, result in mine.items():
        tags = other[uid].keys() - left_out
        assert {tag: value(result, tag) for tag in tags} == {tag: value(other[uid], tag) for tag in tags}, uid
        yield result


def search(client: httpx.Client, path: str, **params: str) -> list[Json]:
    answer = client.get(f"/dicomweb{path}", params={"includefield": "all", **params})
    assert answer.status_code == 200, answer.text
    results: list[Json] = answer.json()
    return results


def test_the_file_client_says_the_same_of_the_same_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, corpus: Path
) -> None:
    """Of real files in many character sets: each value at each level, and what searches by it find.

    The file client takes series of one UID in several studies for one, so these are left out.
    """
    site = make_data_folder(tmp_path, monkeypatch)
    site.checked = False
    flat = tmp_path / "flat"
    flat.mkdir()
    with serve_in_process(site.data, site.settings) as web, web.client() as client:
        for folder in FOLDERS:
            site.bring({str(path.relative_to(corpus)): path.read_bytes() for path in (corpus / folder).rglob("*.dcm")})
        for n, path in enumerate(site.data.glob("*archive/**/*.dcm")):
            shutil.copy(path, flat / f"{n}.dcm")
        oracle = DICOMfileClient(f"file://{flat}", update_db=True, in_memory=True)
        studies = search(client, "/studies")
        assert len(studies) >= 25
        compared = 0
        shared = shared_series(client, studies)
        for study in compare(studies, oracle.search_for_studies(), STUDY, left_out=OF_SERIES):
            uid = study[STUDY]["Value"][0]
            ours = [one for one in search(client, f"/studies/{uid}/series") if one[SERIES]["Value"][0] not in shared]
            theirs = [one for one in oracle.search_for_series(uid) if one[SERIES]["Value"][0] not in shared]
            for series in compare(ours, theirs, SERIES):
                of = series[SERIES]["Value"][0]
                instances = search(client, f"/studies/{uid}/series/{of}/instances")
                compared += len(list(compare(instances, oracle.search_for_instances(uid, of), INSTANCE)))
            for keyword, tag in (("PatientID", "00100020"), ("StudyID", "00200010"), ("StudyDate", "00080020")):
                if (values := value(study, tag)) is not None:
                    found = search(client, "/studies", **{keyword: values[0]})
                    theirs = oracle.search_for_studies(search_filters={keyword: values[0]})
                    assert {one[STUDY]["Value"][0] for one in found} == {one[STUDY]["Value"][0] for one in theirs}
        assert compared >= 30


def series_uids(client: httpx.Client, studies: list[Json]) -> list[str]:
    every = [search(client, f"/studies/{one[STUDY]['Value'][0]}/series") for one in studies]
    return [series[SERIES]["Value"][0] for of_study in every for series in of_study]


def shared_series(client: httpx.Client, studies: list[Json]) -> set[str]:
    """Series UIDs that several studies have."""
    uids = series_uids(client, studies)
    return {uid for uid in uids if uids.count(uid) > 1}
