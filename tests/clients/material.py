"""What the tours find on the server, and what they send: made of our own bytes alone, the same in every run."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import httpx

from tests.builders import DataFolder, images, uploader_layout, zip_entries

PROJECTS = ("TOUR", "MADE", "OWN")
"""Empty ones; beside them SEARCHED and PUBLIC, which hold sessions."""
STATION = 0x00081010
GENDERS = {"Bob": "male", "Cid": "female"}
"""Subjects of SEARCHED; Cid has no session."""
ASSESSORS = {
    "S1": {"FS1": "fs:fsData", "QC1": "xnat:qcAssessmentData"},
    "S2": {"A1": "a-b:cData", "A2": "a:b_", "A3": "xs:aData", "A4": "xnat:project_data", "A5": "xnat:none"},
}
"""Of sessions of SEARCHED; those of S2 are of types that clients make no classes of."""


def session_entries() -> dict[str, bytes]:
    """A session that says of itself what the real one says that tours send otherwise: four scans of one MR exam."""
    told = {"patient_id": b"DEV", "patient_name": b"Test_Regression", "study_date": b"20180918"}
    more = {"case": "tour", "also": {STATION: (b"SH", b"fmrif3tb")}}
    return {
        f"DEV/{number}/{n}.dcm": one
        for number in (4, 5, 6, 7)
        for n, one in enumerate(images(2, series=number, series_number=b"%d" % number, **told, **more))
    }


@cache
def sent_files() -> dict[str, bytes]:
    """Path -> bytes of what tours send, as the folder has it that they are given. Zips have the time in them."""
    texts = {"a.txt": b"first", "b.txt": b"second"}
    return {
        "session.zip": zip_entries(session_entries()),
        **{f"images/{n}.dcm": one for n, one in enumerate(images(3))},
        **{f"own/{name}": data for name, data in texts.items()},
        "own.zip": zip_entries(texts),
        "notes.txt": b"made by hand",
        **{f"data/Ann-001/visit/epi/{n}.dcm": one for n, one in enumerate(images(5, patient_id=b"001"))},
        "t1.nii.gz": bytes(range(256)) * 40,
    }


def write_files(folder: Path) -> Path:
    for name, data in sent_files().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def make_sessions(root: Path) -> Path:
    """A DATA with three MR sessions of two subjects in SEARCHED, and one session in PUBLIC."""
    site = DataFolder(root=root, checked=False)
    for n, subject in enumerate(("Ann", "Ann", "Bob"), start=1):
        entries = uploader_layout(f"S{n}", "4", images(2, study=n, series=n, series_number=b"4"))
        site.bring(entries, project="SEARCHED", subject=subject, session=f"S{n}")
    site.bring(uploader_layout("S1", "1", images(2)), project="PUBLIC", session="S1")
    return site.data


def prepare(client: httpx.Client) -> None:
    """What else tours find: empty projects, subjects' genders, assessors, an owner, and that PUBLIC is public."""
    for name in PROJECTS:
        assert client.post("/api/v1/projects", json={"id": name, "name": name}).status_code == 201
    for subject, gender in GENDERS.items():
        told = client.put(f"/data/projects/SEARCHED/subjects/{subject}", params={"gender": gender})
        assert told.status_code in (200, 201)
    for session, types in ASSESSORS.items():
        for label, kind in types.items():
            where = f"/data/projects/SEARCHED/experiments/{session}/assessors/{label}"
            assert client.put(where, params={"xsiType": kind}).status_code == 201
    assert client.put("/api/v1/projects/SEARCHED/members/admin", json={"role": "owner"}).status_code == 200
    assert client.put("/data/projects/PUBLIC/accessibility/public").status_code == 200
