"""Whatever a stored file is, its frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Protocol

from scandock.formats.dicom_sniff import looks_like_dicom
from scandock.formats.ecat import looks_like_ecat
from scandock.viewing.frames import NotViewable

if TYPE_CHECKING:
    from scandock.viewing.dicom_frames import DicomFrames
    from scandock.viewing.frames import Frame


class Frames(Protocol):
    """Frames by number, from 0."""

    count: int

    def frame(self, number: int) -> Frame: ...


def open_frames(stream: BinaryIO) -> Frames:
    """The frames of an open file. NotViewable where it is nothing that has any."""
    stream.seek(0)
    head = stream.read(1024)
    if looks_like_ecat(head):
        from scandock.viewing.ecat_frames import EcatFrames

        return EcatFrames(stream)
    return open_dicom_frames(stream)


def open_dicom_frames(stream: BinaryIO) -> DicomFrames:
    """The frames of a DICOM file. NotViewable where it is none."""
    stream.seek(0)
    if not is_dicom(stream.read(1024)):
        raise NotViewable("It is no image: neither DICOM nor ECAT 7.")
    from scandock.viewing.dicom_file import open_dicom
    from scandock.viewing.dicom_frames import DicomFrames

    return DicomFrames(open_dicom(stream))


def is_dicom(head: bytes) -> bool:
    """Whether a file that begins so is DICOM, with a preamble or without."""
    return looks_like_dicom(head, max(len(head), 1024))
