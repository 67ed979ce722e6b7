"""An archive for each row of the table of bad input, made of bytes that are the same in every run.

Each module registers the rows of one family; `python -m tests.badinput FOLDER` writes all the archives.
"""

from __future__ import annotations

from pathlib import Path

from tests.badinput import (
    bombs,
    bundles,
    case,
    dicom_bytes,
    dicom_people,
    dicom_series,
    ecat_cases,
    names,
    paths,
    tar_cases,
    whole_files,
    zip_bodies,
)

FAMILIES = (
    bombs,
    bundles,
    dicom_bytes,
    dicom_people,
    dicom_series,
    ecat_cases,
    names,
    paths,
    tar_cases,
    whole_files,
    zip_bodies,
)
CASES: tuple[case.Case, ...] = tuple(sorted(case.CASES, key=lambda each: (each.section, each.id)))


def write_all(folder: Path) -> list[Path]:
    """Write every archive under the row's section and name; returns the files."""
    written = []
    for each in CASES:
        path = folder / each.section / each.file_name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(each.build().archive)
        written.append(path)
    return written
