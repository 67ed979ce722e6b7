"""Small DICOM files for tests of pixels, made by pydicom from numbers."""

from __future__ import annotations

import io
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

DEFLATED = "1.2.840.10008.1.2.1.99"
JPEG_2000 = "1.2.840.10008.1.2.4.90"


def dataset(pixels: np.ndarray | None = None, *, syntax: str = ExplicitVRLittleEndian, **elements: Any) -> Dataset:
    """An MR image (or, without pixels, what only says so); `elements` go above what the pixels say."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = UID(syntax)
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = UID("1.2.840.10008.5.1.4.1.1.4")
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = generate_uid(
        entropy_srcs=["viewing", str(elements)]
    )
    made.StudyInstanceUID, made.SeriesInstanceUID, made.Modality = "1.2.3", "1.2.3.4", "MR"
    if pixels is not None:
        colour = pixels.ndim >= 3 and pixels.shape[-1] == 3
        made.Rows, made.Columns = pixels.shape[-3:-1] if colour else pixels.shape[-2:]
        made.SamplesPerPixel = 3 if colour else 1
        made.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
        made.BitsAllocated = made.BitsStored = pixels.dtype.itemsize * 8
        made.HighBit = made.BitsStored - 1
        made.PixelRepresentation = int(pixels.dtype.kind == "i")
        if colour:
            made.PlanarConfiguration = 0
        if pixels.ndim == 3 and not colour:
            made.NumberOfFrames = len(pixels)
        made.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
        made["PixelData"].VR = "OB" if pixels.dtype.itemsize == 1 else "OW"
    for name, value in elements.items():
        setattr(made, name, value)
    return made


def file_of(made: Dataset) -> bytes:
    """The file's bytes."""
    raw = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made.save_as(raw, enforce_file_format=True)
    return raw.getvalue()


def dicom(pixels: np.ndarray | None = None, **more: Any) -> bytes:
    return file_of(dataset(pixels, **more))


def deflated(plain: bytes, zeros: int = 0) -> bytes:
    """A file whose data set is `plain` and so many zeros, deflated (PS3.5 A.5)."""
    whole = dicom(syntax=DEFLATED)
    at = 144 + int.from_bytes(whole[140:144], "little")
    packer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    pieces = [whole[:at], packer.compress(plain), packer.flush(zlib.Z_FULL_FLUSH)]
    block = bytes(8 * 1024**2)
    packed = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)  # refers to nothing before it
    return b"".join([*pieces, packed * (zeros // len(block)), packer.flush()])


def encapsulated(frames: list[bytes], like: np.ndarray, **more: Any) -> bytes:
    """Compressed frames under a header that speaks of pixels `like` these."""
    made = dataset(like, **more)
    made.PixelData = encapsulate(frames)
    made["PixelData"].is_undefined_length = True
    return file_of(made)


def kept(folder: Path, raw: bytes) -> Path:
    """A file with these bytes."""
    path = folder / "made.dcm"
    path.write_bytes(raw)
    return path


def ramp(rows: int = 16, columns: int = 16, dtype: str = "<u2") -> np.ndarray:
    """Numbers that are all different."""
    return np.arange(rows * columns, dtype=np.int64).reshape(rows, columns).astype(dtype)
