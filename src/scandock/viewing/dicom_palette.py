"""The palette of an object, in the byte order that pydicom takes palettes to have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_PALETTE: Final = "PaletteColorLookupTable"


def palette_of(data: Dataset) -> Dataset:
    """What pydicom's `apply_color_lut` is to be given for an object.

    pydicom swaps the bytes of no OW element as it reads, and takes tables to be little-endian: of a big-endian file
    it would show the low bytes of the colours. Entries of 8 bits lie two in a word, and are swapped with it.
    """
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    if data.original_encoding[1] is not False:
        return data
    swapped = Dataset()
    for keyword in (*data.dir(_PALETTE), "PixelPresentation"):
        if keyword not in data:
            continue
        element = data[keyword]
        ordered = element.VR == "OW" and isinstance(element.value, bytes)
        swapped.add_new(element.tag, element.VR, _words(element.value) if ordered else element.value)
    # Of segmented tables it asks the byte order.
    swapped.file_meta = FileMetaDataset()
    swapped.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return swapped


def _words(value: bytes) -> bytes:
    """Each two bytes the other way round; a byte too many, which a broken file may have, stays."""
    turned = bytearray(value)
    even = len(value) // 2 * 2
    turned[0:even:2], turned[1:even:2] = value[1:even:2], value[0:even:2]
    return bytes(turned)
