"""Sessions are found by their patient, ECAT files by their content, in all of a project; scans have what sorts them."""

from __future__ import annotations

import json
import re

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

TREES = 1_000
"""Trees whose scans get their keys at a time."""
IMAGES = ("2", "6", "7", "10")
"""File types of ECAT that are images; the others are raw data."""
RUNS = re.compile("([0-9]+)")
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the index of patients, the table of ECAT files with those of all sessions, and the keys of all scans.

    ECAT has its frames, and the modality that DICOM has: before, each file counted as one image of modality PET.
    """
    op.create_index(op.f("ix_session_project_id_patient_id"), "session", ["project_id", "patient_id"])
    op.create_table(
        "ecat_file",
        sa.Column("tree_id", ID, nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.ForeignKeyConstraint(["tree_id"], ["tree.id"], name=op.f("fk_ecat_file_tree_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tree_id", "n", name=op.f("pk_ecat_file")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_ecat_file_sha256"), "ecat_file", ["sha256"])
    op.execute(
        "INSERT INTO ecat_file (tree_id, n, sha256) SELECT f.tree_id, f.n, f.sha256 FROM session s"
        " JOIN resource r ON r.tree_id = s.tree_id AND r.scan_n IS NOT NULL AND LOWER(r.label) = 'ecat'"
        " JOIN file f ON f.tree_id = r.tree_id AND f.resource_n = r.n"
    )
    op.add_column("scan", sa.Column("sort_key", sa.Text(), server_default=sa.text("''"), nullable=False))
    _sort(op.get_bind())
    _count_ecat_frames(op.get_bind())
    op.execute(
        """UPDATE session SET attributes = REPLACE(attributes, '"modality": "PET"', '"modality": "PT"') WHERE ecat"""
    )


def _count_ecat_frames(connection: sa.Connection) -> None:
    rows = connection.execute(
        sa.text(
            "SELECT tree_id, n, attributes, frames FROM scan WHERE series_uid IS NULL AND xsi_type = 'xnat:petScanData'"
        )
    ).all()
    for row in rows:
        attributes = json.loads(row.attributes)
        if attributes.get("modality") != "PET":
            continue
        is_image = attributes.get("parameters/fileType") in IMAGES
        frames = max(int(attributes.get("frames", 1)), row.frames) if is_image else 0
        attributes |= {"modality": "PT", "frames": str(frames)}
        connection.execute(
            sa.text("UPDATE scan SET attributes = :attributes, frames = :frames WHERE tree_id = :tree AND n = :n"),
            {"attributes": json.dumps(attributes), "frames": frames, "tree": row.tree_id, "n": row.n},
        )


def _sort(connection: sa.Connection) -> None:
    last = connection.execute(sa.text("SELECT COALESCE(MAX(tree_id), 0) FROM scan")).scalar_one()
    for start in range(0, last + 1, TREES):
        rows = connection.execute(
            sa.text("SELECT tree_id, n, scan_id FROM scan WHERE tree_id BETWEEN :first AND :last"),
            {"first": start, "last": start + TREES - 1},
        ).all()  # fmt: skip
        if rows:
            connection.execute(
                sa.text("UPDATE scan SET sort_key = :key WHERE tree_id = :tree AND n = :n"),
                [{"key": _sort_key(row.scan_id), "tree": row.tree_id, "n": row.n} for row in rows],
            )


def _sort_key(scan_id: str) -> str:
    """The key of an id as this version wrote it; `rules.scan_ids` may write another one some day."""
    key = bytearray()
    for part in filter(None, RUNS.split(scan_id)):
        if part[0] in "0123456789":
            digits = part.lstrip("0") or "0"
            key += b"\x01" + len(digits).to_bytes(2, "big") + digits.encode()
        else:
            key += b"\x02" + part.casefold().encode("utf-8", "surrogatepass") + b"\x00"
    return key.hex()
