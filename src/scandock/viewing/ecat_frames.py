"""The planes of an ECAT 7 file, frame by frame, as nibabel reads them: scaled and calibrated."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from scandock.viewing.frames import Frame, NotViewable, check_size

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MOST_BYTES: Final = 512 * 1024**2
"""Of one frame, all planes together."""


class EcatFrames:
    """Planes from the feet up, all of the first time frame, then those of the next."""

    def __init__(self, stream: BinaryIO) -> None:
        import nibabel.ecat

        ecat: Any = nibabel.ecat
        stream.seek(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                self.header = ecat.EcatHeader.from_fileobj(stream)
                matrices = ecat.read_mlist(stream, self.header.endianness)
                self._frames = ecat.EcatSubHeader(self.header, matrices, stream)
            except (ValueError, KeyError, IndexError, TypeError, OSError) as error:
                raise NotViewable("Its directory of frames can't be read.") from error
        self._order = [row for _, (row, _) in sorted(ecat.get_frame_order(matrices).items())]
        self._size = os.fstat(stream.fileno()).st_size
        self._held: tuple[int, NDArray[Any]] | None = None
        self.planes = [self._shape(row)[2] for row in self._order]
        self.count = sum(self.planes)

    def place(self, number: int) -> tuple[int, int]:
        """(time frame, plane), both from 0, of a plane's number among all."""
        for frame, planes in enumerate(self.planes):
            if number < planes:
                return frame, number
            number -= planes
        raise NotViewable(f"It has {self.count} planes; there is no plane {number + 1}.")

    def frame(self, number: int) -> Frame:
        """One plane, seen from the feet, as PET is: the patient's right on the left."""
        if not 0 <= number < self.count:
            raise NotViewable(f"It has {self.count} planes; there is no plane {number + 1}.")
        frame, plane = self.place(number)
        row = self._order[frame]
        subheader = self._frames.subheaders[row]
        scale = float(subheader["scale_factor"].item()) * float(self.header["ecat_calibration_factor"].item())
        zooms = [float(zoom) for zoom in self._frames.get_zooms(row)[:2]]
        return Frame(
            pixels=self._shown(self._volume(row)[:, :, plane]),
            slope=scale or 1.0,
            unit=self.header["data_units"].item().decode("latin-1").strip("\0 ")[:16],
            spacing=(zooms[1], zooms[0]) if min(zooms) > 0 else None,
        )

    def subheaders(self) -> list[Any]:
        """The subheader of each time frame, as nibabel has it."""
        return [self._frames.subheaders[row] for row in self._order]

    def starts(self) -> list[float]:
        """When each time frame begins, in seconds from the scan's start."""
        return [float(subheader["frame_start_time"].item()) / 1000 for subheader in self.subheaders()]

    def heights(self, frame: int) -> list[float]:
        """Where each plane of a time frame is, in mm."""
        row = self._order[frame]
        step = float(self._frames.get_zooms(row)[2]) or 1.0
        return [plane * step for plane in range(self.planes[frame])]

    def _shape(self, row: int) -> tuple[int, int, int]:
        x, y, z = self._frames.get_shape(row)
        return int(x), int(y), int(z)

    def _volume(self, row: int) -> NDArray[np.generic]:
        if self._held is not None and self._held[0] == row:
            return self._held[1]
        x, y, z = self._shape(row)
        check_size(y, x)
        try:
            width = self._frames._get_data_dtype(row).itemsize  # noqa: SLF001  nibabel tells it nowhere else
        except KeyError:
            raise NotViewable("Its data type is none that is shown.") from None
        if x * y * z * width > min(self._size, _MOST_BYTES):
            raise NotViewable(f"Its frame of {x} x {y} x {z} goes beyond the file, or is too large to be shown.")
        self._held = (row, self._frames.raw_data_from_fileobj(row))
        return self._held[1]

    @staticmethod
    def _shown(plane: NDArray[Any]) -> NDArray[Any]:
        """Rows from front to back, columns from the patient's right to left; nibabel's axes run the other way."""
        return plane[::-1, ::-1].T
