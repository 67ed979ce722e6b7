"""What people write themselves: unpack with the standard library, read each header with pydicom, move into folders.

python bench/plain.py ARCHIVE FOLDER. No limits, no checks, no records, no sync: the floor in care, not in speed.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pydicom


def main(archive: Path, folder: Path) -> None:
    unpacked, sorted_out = folder / "unpacked", folder / "sorted"
    shutil.unpack_archive(archive, unpacked)
    for inner in list(unpacked.glob("*.zip")):
        shutil.unpack_archive(inner, unpacked / inner.stem)
        inner.unlink()
    for path in unpacked.rglob("*"):
        if path.is_file():
            header = pydicom.dcmread(path, stop_before_pixels=True)
            scan = sorted_out / str(header.PatientID) / str(header.StudyInstanceUID) / str(header.SeriesNumber)
            scan.mkdir(parents=True, exist_ok=True)
            shutil.move(path, scan / f"{header.SOPInstanceUID}.dcm")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
