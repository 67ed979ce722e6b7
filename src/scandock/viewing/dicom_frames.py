"""The frames of a DICOM object: decoded one at a time, with the numbers' meaning, windows and spacing."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

from typing import TYPE_CHECKING, Any

from scandock.formats.dicom_text import decode_value
from scandock.viewing.dicom_file import format_text, get_charsets, get_raw_value, parse_numbers

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

from typing import TYPE_CHECKING

from scandock.viewing.dicom_file import DicomFile, get_integer
from scandock.viewing.dicom_mosaic import find_tiles
from scandock.viewing.dicom_pixels import decode_frame
from scandock.viewing.frames import Frame, LookupTable, NotViewable, Window, check_size
from scandock.viewing.lookup_tables import read_table
from scandock.viewing.orientation import Orientation, orientation_of_cosines, orientation_of_sides

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WINDOWS: Final = 8
_VOI_TABLES: Final = "VOILUTSequence"
_FUNCTIONS: Final = {"LINEAR_EXACT": "linear_exact", "SIGMOID": "sigmoid"}
_OBJECTS: Final = {
    "SR": "a report", "PR": "a presentation state", "KO": "a selection of objects", "RTSTRUCT": "a set of contours",
    "RTPLAN": "a radiotherapy plan", "RTRECORD": "a treatment record", "ECG": "a waveform", "HD": "a waveform",
    "AU": "a sound recording", "DOC": "a document", "REG": "a registration", "FID": "a set of fiducials",
    "RWV": "a mapping of values", "PLAN": "a plan", "M3D": "a model", "ANN": "annotations", "TEXTUREMAP": "a texture",
}  # fmt: skip


class DicomFrames:
    """An object's frames; those of a mosaic are its tiles."""

    def __init__(self, file: DicomFile, *, whole: bool = False) -> None:
        """`whole`: a mosaic is one frame, as it is stored."""
        self.file = file
        self.data = file.data
        self.groups = FunctionalGroups(file.data)
        self.tiles = None if whole else find_tiles(file)
        self.count = self.tiles.count if self.tiles else max(1, get_integer(file.data, "NumberOfFrames", 1))

    def frame(self, number: int) -> Frame:
        """One frame, from 0. NotViewable where there is none, or it can't be decoded."""
        if self.file.pixels is None:
            raise NotViewable(self.without())
        if not 0 <= number < self.count:
            raise NotViewable(f"It has {self.count} frames; there is no frame {number + 1}.")
        check_size(get_integer(self.data, "Rows", 0), get_integer(self.data, "Columns", 0))
        stored = 0 if self.tiles else number
        pixels = decode_frame(self.file, stored)
        if self.tiles:
            pixels = self.tiles.cut(pixels, number)
        photometric = format_text(self.data.get("PhotometricInterpretation"))
        if photometric == "PALETTE COLOR" and "RedPaletteColorLookupTableDescriptor" in self.data:
            frame = Frame(pixels=self._through_palette(pixels), spacing=self.groups.spacing(stored))
        elif pixels.ndim == 3:
            frame = Frame(pixels=_to_eight_bits(pixels, self._bits()), spacing=self.groups.spacing(stored))
        else:
            frame = self._grey(pixels, stored, invert=photometric == "MONOCHROME1" or self._inverse())
        frame.orientation = self.groups.orientation(stored)
        return frame

    def without(self) -> str:
        """Why there is nothing to see: what the object is instead."""
        modality = format_text(self.data.get("Modality"))
        if modality in _OBJECTS:
            return f"This is {_OBJECTS[modality]} ({modality}), without pixels."
        for keyword, what in (("WaveformSequence", "a waveform"), ("EncapsulatedDocument", "a document")):
            if keyword in self.data:
                return f"This is {what}, without pixels."
        if "SpectroscopyData" in self.data:
            return "This is spectroscopy data, without pixels."
        name = self.data.get("SOPClassUID")
        kind = getattr(name, "name", "") or "an object of an unknown kind"
        return f"It has no pixel data ({kind[:80]})."

    def _through_palette(self, pixels: NDArray[Any]) -> NDArray[Any]:
        from pydicom.pixels.processing import apply_color_lut

        entries = parse_numbers(self.data.get("RedPaletteColorLookupTableDescriptor"))
        colors = apply_color_lut(pixels, make_palette(self.data))
        return _to_eight_bits(colors, 16 if colors.dtype.itemsize == 2 or (entries and entries[-1] == 16) else 8)

    def _bits(self) -> int:
        return get_integer(self.data, "BitsStored", 8)

    def _inverse(self) -> bool:
        return format_text(self.data.get("PresentationLUTShape")) == "INVERSE"

    def _grey(self, pixels: NDArray[Any], number: int, *, invert: bool) -> Frame:
        frame = Frame(pixels=pixels, invert=invert, spacing=self.groups.spacing(number), unit=self._unit(number))
        tables = _items(self.data, "ModalityLUTSequence")
        if tables:
            frame.pixels = read_table(tables[0], self.data, lambda: self._stored_range()[0] < 0).apply(pixels)
            frame.unit = format_text(tables[0].get("ModalityLUTType")) if frame.unit == "" else frame.unit
        else:
            frame.slope, frame.intercept = self._rescaling(number)
            frame.padding = self._padding()
        frame.windows = self._windows(number)
        frame.table = self._voi_table(number)
        return frame

    def _rescaling(self, number: int) -> tuple[float, float]:
        """Slope and intercept of a frame."""
        place = "PixelValueTransformationSequence"
        slope = self.groups.numbers(number, place, "RescaleSlope")
        intercept = self.groups.numbers(number, place, "RescaleIntercept")
        return (slope[0], intercept[0]) if slope and intercept and slope[0] != 0 else (1.0, 0.0)

    def _stored_range(self) -> tuple[float, float]:
        """Between which the object's pixels can be."""
        if self.file.pixels is not None and self.file.pixels.keyword != "PixelData":
            return -math.inf, math.inf
        values = 1 << min(max(self._bits(), 1), 64)
        if get_integer(self.data, "PixelRepresentation", 0) == 1:
            return -(values // 2), values // 2 - 1
        return 0, values - 1

    def _shows_negative(self) -> bool:
        """Whether a shown value of any frame can be below 0."""
        if _items(self.data, "ModalityLUTSequence"):
            return False
        stored = self._stored_range()
        rescalings = map(self._rescaling, range(max(1, self.groups.frame_items)))
        return any(min(one * slope + intercept for one in stored) < 0 for slope, intercept in rescalings)

    def _voi_table(self, number: int) -> LookupTable | None:
        """The first VOI LUT; None where there is none that can be read, as an image can be shown without."""
        group = self.groups.macro(number, "FrameVOILUTSequence")
        tables = (_items(group, _VOI_TABLES) if group is not None else []) or _items(self.data, _VOI_TABLES)
        with contextlib.suppress(NotViewable):
            return read_table(tables[0], self.data, self._shows_negative) if tables else None
        return None

    def _padding(self) -> tuple[float, float] | None:
        padding = parse_numbers(self.data.get("PixelPaddingValue"))
        limit = parse_numbers(self.data.get("PixelPaddingRangeLimit")) or padding
        return (min(padding[0], limit[0]), max(padding[0], limit[0])) if padding else None

    def _unit(self, number: int) -> str:
        kind = self.groups.text(number, "PixelValueTransformationSequence", "RescaleType")
        if kind and kind != "US":
            return kind[:16]
        if format_text(self.data.get("Modality")) == "CT" and self.groups.numbers(
            number, "PixelValueTransformationSequence", "RescaleIntercept"
        ):
            return "HU"
        return format_text(self.data.get("Units"))[:16]

    def _windows(self, number: int) -> list[Window]:
        """Windows of the header; a VOI LUT counts as the range that it spans."""
        place = "FrameVOILUTSequence"
        centers = self.groups.numbers(number, place, "WindowCenter")
        widths = self.groups.numbers(number, place, "WindowWidth")
        names = self.groups.names(number, place, "WindowCenterWidthExplanation")
        function = _FUNCTIONS.get(self.groups.text(number, place, "VOILUTFunction"), "linear")
        windows = [
            Window(center, width, names[at][:40] if at < len(names) else "", function)
            for at, (center, width) in enumerate(zip(centers, widths, strict=False))
            if width > 0
        ]
        if not windows and (table := self.data.get("VOILUTSequence")):
            described = parse_numbers(table[0].get("LUTDescriptor"))
            if len(described) == 3:
                entries = described[0] or 65536
                windows = [Window(described[1] + entries / 2, entries, "VOI LUT")]
        return windows[:_WINDOWS]


def _to_eight_bits(pixels: NDArray[Any], bits: int) -> NDArray[Any]:
    import numpy as np

    if pixels.dtype == np.uint8 and bits == 8:
        return pixels[..., :3]
    return (pixels[..., :3].astype(np.int64) >> max(0, bits - 8)).clip(0, 255).astype(np.uint8)


class FunctionalGroups:
    """Elements by frame, from 0, of an object with functional groups or without."""

    def __init__(self, data: Dataset) -> None:
        self.data = data
        self._own = _items(data, "PerFrameFunctionalGroupsSequence")
        shared = _items(data, "SharedFunctionalGroupsSequence")
        self._shared = shared[0] if shared else None

    @property
    def frame_items(self) -> int:
        """How many frames have something of their own."""
        return len(self._own)

    def macro(self, frame: int, sequence: str) -> Any:  # noqa: ANN401  a Dataset or None
        """The item of a functional group's sequence that holds for a frame."""
        own = self._own[frame] if frame < len(self._own) else None
        for group in (own, self._shared):
            if group is not None and (group_items := _items(group, sequence)):
                return group_items[0]
        return None

    def value(self, frame: int, sequence: str, keyword: str) -> Any:  # noqa: ANN401
        """A value of a functional group; where there is none, the data set's own element of that name."""
        group = self.macro(frame, sequence)
        value = group.get(keyword) if group is not None else None
        return self.data.get(keyword) if value is None else value

    def numbers(self, frame: int, sequence: str, keyword: str) -> list[float]:
        return parse_numbers(self.value(frame, sequence, keyword))

    def text(self, frame: int, sequence: str, keyword: str) -> str:
        return format_text(self.value(frame, sequence, keyword))

    def names(self, frame: int, sequence: str, keyword: str) -> list[str]:
        """All values of a text (LO), by the decoder that an import uses: pydicom knows fewer character sets."""
        group = self.macro(frame, sequence)
        data = self.data if group is None or keyword not in group else group
        raw = get_raw_value(data, keyword)
        charsets = get_charsets(data) or get_charsets(self.data)
        return decode_value(raw, "LO", charsets, False).split("\\") if raw else []

    def spacing(self, frame: int) -> tuple[float, float] | None:
        """Of rows and of columns in mm: Pixel Spacing, or what a projection has instead; else Pixel Aspect Ratio."""
        spacing = self.numbers(frame, "PixelMeasuresSequence", "PixelSpacing")
        for keyword in ("ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio"):
            spacing = spacing or parse_numbers(self.data.get(keyword))
        return (spacing[0], spacing[1]) if len(spacing) == 2 and min(spacing) > 0 else None

    def orientation(self, frame: int) -> Orientation | None:
        """By Image Orientation (Patient), else by Patient Orientation; None where neither says it.

        Animals that stand on four legs have other names for their sides (PS3.3 C.7.6.1.1.1): they get none.
        """
        if format_text(self.data.get("AnatomicalOrientationType")).upper() == "QUADRUPED":
            return None
        cosines = self.numbers(frame, "PlaneOrientationSequence", "ImageOrientationPatient")
        if cosines:
            return orientation_of_cosines(cosines)
        sides = self.value(frame, "PatientOrientationInFrameSequence", "PatientOrientation")
        if sides is None or isinstance(sides, str) or len(sides) != 2:
            return None
        return orientation_of_sides(str(sides[0]), str(sides[1]))


def _items(data: Any, keyword: str) -> list[Any]:  # noqa: ANN401  a Dataset
    """The items of a sequence; none where it is missing or no sequence."""
    try:
        sequence = data.get(keyword)
        return list(sequence) if sequence else []
    except (TypeError, ValueError, AttributeError, NotImplementedError):
        return []


_PALETTE: Final = "PaletteColorLookupTable"


def make_palette(data: Dataset) -> Dataset:
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
        swapped.add_new(element.tag, element.VR, _swap_bytes(element.value) if ordered else element.value)
    # Of segmented tables it asks the byte order.
    swapped.file_meta = FileMetaDataset()
    swapped.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return swapped


def _swap_bytes(value: bytes) -> bytes:
    """Each two bytes the other way round; a byte too many, which a broken file may have, stays."""
    turned = bytearray(value)
    even = len(value) // 2 * 2
    turned[0:even:2], turned[1:even:2] = value[1:even:2], value[0:even:2]
    return bytes(turned)
