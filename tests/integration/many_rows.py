"""Catalogs with many rows, by bulk inserts: sessions without files in the store, for what only reads the catalog."""

from __future__ import annotations

import json

from sqlalchemy import insert, select, update

from scandock.catalog.dicom_listings import point_listing, write_listing
from scandock.catalog.engine import Catalog
from scandock.catalog.file_manifests import add_files
from scandock.catalog.file_rows import FileRow
from scandock.catalog.project_sums import write_sums
from scandock.catalog.projects import ProjectRow, add_project
from scandock.catalog.server_tables import accession
from scandock.catalog.tables import (
    ListingState,
    dicom_study,
    project,
    resource,
    scan,
    session,
    subject,
    tree,
    upload,
)
from scandock.model.series import SeriesTally
from scandock.model.tags import NUMBERS
from scandock.queue.tokens import new_uuid


def seed(catalog: Catalog, sessions: int, *, name: str = "P", place: str = "archive") -> int:
    """A project with bare sessions, by bulk inserts; gives its number."""
    add_project(catalog, ProjectRow(name=name))
    with catalog.write() as connection:
        number = connection.execute(select(project.c.id).where(project.c.name == name)).scalar_one()
        row = {"archive": "a.zip", "source": "server", "state": "placed", "request": "{}", "created": 1}
        upload_id = connection.execute(
            insert(upload).values(uuid=new_uuid(), **row).returning(upload.c.id)
        ).scalar_one()
        connection.execute(
            insert(subject),
            [
                {"uuid": new_uuid(), "project_id": number, "label": f"Sub{n}", "key": f"sub{n}", "created": n}
                for n in range(max(1, sessions // 4))
            ],
        )
        subjects = list(connection.execute(select(subject.c.id).where(subject.c.project_id == number)).scalars())
        first = connection.execute(select(tree.c.id).order_by(tree.c.id.desc()).limit(1)).scalar() or 0
        trees = [
            {"id": first + n + 1, "upload_id": upload_id, "state": "current", "files": 1, "bytes": 10, "created": 1}
            for n in range(sessions)
        ]
        connection.execute(insert(tree), trees)
        attributes = json.dumps({"date": "2020-01-31", "modality": "MR", "scanner/model": "Prisma"})
        connection.execute(
            insert(session),
            [
                {
                    "uuid": new_uuid(), "project_id": number, "subject_id": subjects[n % len(subjects)],
                    "subject": f"Sub{n % len(subjects)}", "label": f"Sess_{n:05}", "key": f"sess_{n:05}",
                    "place": place, "timestamp": "" if place == "archive" else f"20200101_{n:09}", "state": "ready",
                    "study_uid": f"1.2.{n}", "xsi_type": "xnat:mrSessionData", "attributes": attributes,
                    "warnings": "[]", "tree_id": tree_row["id"], "scans": 1, "files": 1, "bytes": n % 7,
                    "created": n, "modified": n % 100, "received": n, "date": "2020-01-31", "modalities": "MR",
                }
                for n, tree_row in enumerate(trees)
            ],
        )  # fmt: skip
        uuids = connection.execute(select(session.c.uuid).where(session.c.project_id == number).order_by(session.c.id))
        connection.execute(insert(accession), [{"uuid": uuid} for uuid in uuids.scalars()])
        write_sums(connection, number)
        return int(number)


def seed_scans(catalog: Catalog, scans: int) -> None:
    """As many scans in each session that has none."""
    with catalog.write() as connection:
        trees = connection.execute(select(session.c.tree_id).where(session.c.tree_id.not_in(select(scan.c.tree_id))))
        attributes = json.dumps({"series_description": "T1 MPRAGE", "startTime": "10:11:12"})
        connection.execute(
            insert(scan),
            [
                {
                    "tree_id": number, "n": n, "scan_id": str(n + 1), "series_uid": f"1.{number}.{n}", "modality": "MR",
                    "xsi_type": "xnat:mrScanData", "type": f"T{n % 3}", "attributes": attributes, "facts": b"",
                    "frames": 176, "files": 176, "bytes": 10,
                }
                for number in trees.scalars().all()
                for n in range(scans)
            ],
        )  # fmt: skip


def seed_studies(catalog: Catalog) -> None:
    """A study with two series in each session that has none, the sessions' own UIDs; all values differ somewhere."""
    with catalog.write() as connection:
        listed = select(dicom_study.c.session_id).where(dicom_study.c.session_id.is_not(None))
        rows = connection.execute(select(session).where(session.c.id.not_in(listed)).order_by(session.c.id)).all()
        facts = [_study_facts(n, row.study_uid) for n, row in enumerate(rows)]
        for row, (of_mr, of_ct) in zip(rows, facts, strict=True):
            write_listing(connection, row.tree_id, [(0, of_mr.series_uid, of_mr), (1, of_ct.series_uid, of_ct)])
            point_listing(connection, row.id, row.tree_id, row.project_id, row.place)
        connection.execute(update(tree).values(listing=ListingState.COMPLETE))


def _study_facts(n: int, study_uid: str) -> tuple[SeriesTally, SeriesTally]:
    values = {
        "StudyDate": f"20{n % 26:02}{n % 12 + 1:02}{n % 28 + 1:02}", "StudyTime": f"{n % 24:02}{n % 60:02}00",
        "AccessionNumber": f"ACC{n}", "PatientID": f"PAT{n // 3}", "PatientName": f"Doe{n // 3}^Jane",
        "PatientBirthDate": f"19{n % 100:02}0101", "PatientSex": "FMO"[n % 3], "StudyID": str(n),
        "ReferringPhysicianName": f"House{n % 50}^Gregory", "StudyDescription": f"Study {n % 40}",
        "BitsAllocated": "16",
    }  # fmt: skip
    series = []
    for number, modality in enumerate(("MR", "CT" if n % 10 else "PT")):
        own = {**values, "Modality": modality, "SeriesNumber": str(number), "SeriesDescription": f"Series {number}"}
        counts = {NUMBERS[keyword]: {text: 10} for keyword, text in own.items()}
        series.append(SeriesTally(study_uid, f"{study_uid}.{number + 1}", objects=10, frames=10, values=counts))
    return series[0], series[1]


def seed_content(catalog: Catalog, uuid: str, scans: int, files: int) -> None:
    """Scans of a session with one resource each, and files in the first."""
    with catalog.write() as connection:
        number = connection.execute(select(session.c.tree_id).where(session.c.uuid == uuid)).scalar_one()
        connection.execute(
            insert(scan),
            [
                {
                    "tree_id": number, "n": n, "scan_id": str(n), "series_uid": f"1.{n}", "modality": "MR",
                    "xsi_type": "xnat:mrScanData", "type": f"T{n % 3}", "attributes": "{}", "facts": b"", "frames": 1,
                    "files": 1, "bytes": 10,
                }
                for n in range(scans)
            ],
        )  # fmt: skip
        connection.execute(
            insert(resource),
            [
                {"tree_id": number, "n": n, "scan_n": n, "label": "DICOM", "content": "RAW", "format": "DICOM",
                 "files": 1, "bytes": 10}
                for n in range(scans)
            ],
        )  # fmt: skip
        add_files(connection, number, [FileRow(n, 0, f"{n}.dcm", 10, b"\1" * 32, None, 1, 0) for n in range(files)])
