"""Lists of DICOM studies and series have tables of their own; those of trees that stand are filled in by workers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
UNLISTED = sa.text("listing < 2")
STUDY_TEXTS = (
    *("accession", "patient_id", "issuer", "patient_name", "patient_alphabetic", "patient_ideographic"),
    "patient_phonetic",
)
STUDY_TEXTS_BEHIND = (
    *("sex", "physician", "physician_alphabetic", "physician_ideographic", "physician_phonetic", "study_id"),
    *("description", "timezone", "modalities"),
)


def upgrade() -> None:
    """Make the tables, empty; trees say that nothing is listed of them yet."""
    op.add_column("tree", sa.Column("listing", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.create_index("ix_tree_unlisted", "tree", ["id"], sqlite_where=UNLISTED, postgresql_where=UNLISTED)
    op.create_table(
        "dicom_study",
        sa.Column("id", ID, nullable=False),
        sa.Column("tree_id", ID, nullable=False),
        sa.Column("study_uid", sa.Text(), nullable=False),
        sa.Column("session_id", ID),
        sa.Column("project_id", ID),
        sa.Column("place", sa.String(length=10), server_default=sa.text("''"), nullable=False),
        sa.Column("date", sa.String(length=8), nullable=False),
        sa.Column("time", sa.String(length=13), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in STUDY_TEXTS),
        sa.Column("birth_date", sa.String(length=8), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in STUDY_TEXTS_BEHIND),
        sa.Column("series", sa.Integer(), nullable=False),
        sa.Column("instances", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dicom_study")),
        sa.ForeignKeyConstraint(["tree_id"], ["tree.id"], name=op.f("fk_dicom_study_tree_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["session_id"], ["session.id"], name=op.f("fk_dicom_study_session_id"), ondelete="SET NULL"
        ),
        sa.UniqueConstraint("tree_id", "study_uid", name=op.f("uq_dicom_study_tree_id_study_uid")),
    )
    for columns in (
        ["session_id"],
        ["study_uid"],
        ["project_id", "place", "date", "time", "id"],
        ["project_id", "patient_id"],
        ["project_id", "accession"],
        ["project_id", "patient_alphabetic"],
        ["date", "time", "id"],
    ):
        op.create_index(op.f(f"ix_dicom_study_{'_'.join(columns)}"), "dicom_study", columns)
    op.create_table(
        "dicom_series",
        sa.Column("tree_id", ID, nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("study_uid", sa.Text(), nullable=False),
        sa.Column("series_uid", sa.Text(), nullable=False),
        sa.Column("modality", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("date", sa.String(length=8), nullable=False),
        sa.Column("time", sa.String(length=13), nullable=False),
        sa.Column("step_date", sa.String(length=8), nullable=False),
        sa.Column("step_time", sa.String(length=13), nullable=False),
        sa.Column("requests", sa.Text(), nullable=False),
        sa.Column("instances", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tree_id", "n", name=op.f("pk_dicom_series")),
        sa.ForeignKeyConstraint(["tree_id"], ["tree.id"], name=op.f("fk_dicom_series_tree_id"), ondelete="CASCADE"),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_dicom_series_series_uid"), "dicom_series", ["series_uid"])
