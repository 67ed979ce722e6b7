"""Siemens mosaics: one image that holds the slices of a volume as tiles (nipy.org/nibabel/dicom/dicom_mosaic)."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any, Final

from scandock.model.dataclass import dataclass
from scandock.viewing.dicom_file import DicomFile, get_integer, parse_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SIEMENS: Final = "SIEMENS MR HEADER"
_CSA: Final = "SIEMENS CSA HEADER"
_MOST: Final = 4096


@dataclass(frozen=True, slots=True)
class Tiles:
    """`count` slices of `rows` x `columns`, `across` in a row, in the order of their places."""

    count: int
    across: int
    rows: int
    columns: int

    def cut(self, pixels: NDArray[Any], number: int) -> NDArray[Any]:
        """One slice of the whole image."""
        top, left = (number // self.across) * self.rows, (number % self.across) * self.columns
        return pixels[top : top + self.rows, left : left + self.columns]


def find_tiles(file: DicomFile) -> Tiles | None:
    """How an image is cut into slices; None where it is no mosaic, or does not say how many it holds."""
    data = file.data
    kinds = data.get("ImageType")
    if not kinds or "MOSAIC" not in list(kinds if not isinstance(kinds, str) else [kinds]):
        return None
    count = _read_private_number(data, 0x0019, _SIEMENS, 0x0A) or _from_csa(data)
    if not 1 < count <= _MOST or get_integer(data, "NumberOfFrames", 1) > 1:
        return None
    across = math.ceil(math.sqrt(count))
    rows, columns = get_integer(data, "Rows", 0), get_integer(data, "Columns", 0)
    if rows < across or columns < across or rows % across or columns % across:
        return None
    return Tiles(count, across, rows // across, columns // across)


def _read_private_number(data: Any, group: int, creator: str, offset: int) -> int:  # noqa: ANN401  a Dataset
    try:
        values = parse_numbers(data.private_block(group, creator)[offset].value)
    except (KeyError, TypeError, ValueError, AttributeError):
        return 0
    return int(values[0]) if values else 0


def _from_csa(data: Any) -> int:  # noqa: ANN401  a Dataset
    """NumberOfImagesInMosaic of the private CSA header, by nibabel's reader."""
    try:
        raw = data.private_block(0x0029, _CSA)[0x10].value
    except (KeyError, TypeError, ValueError, AttributeError):
        return 0
    if not isinstance(raw, bytes):
        return 0
    import nibabel.nicom.csareader

    reader: Any = nibabel.nicom.csareader
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            count = reader.get_scalar(reader.read(raw), "NumberOfImagesInMosaic")
        except Exception:  # noqa: BLE001  whatever a private element of a stranger's makes of that reader
            return 0
    return int(count or 0)
