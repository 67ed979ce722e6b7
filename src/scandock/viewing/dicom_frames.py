"""The frames of a DICOM object: decoded one at a time, with the numbers' meaning, windows and spacing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from scandock.viewing.dicom_decode import decode
from scandock.viewing.dicom_file import DicomFile, integer, numbers, text
from scandock.viewing.dicom_groups import Groups
from scandock.viewing.dicom_mosaic import tiles_of
from scandock.viewing.dicom_palette import palette_of
from scandock.viewing.frames import Frame, NoPicture, Window, checked

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WINDOWS: Final = 8
_FUNCTIONS: Final = {"LINEAR_EXACT": "linear_exact", "SIGMOID": "sigmoid"}
_OBJECTS: Final = {
    "SR": "a report", "PR": "a presentation state", "KO": "a selection of objects", "RTSTRUCT": "a set of contours",
    "RTPLAN": "a radiotherapy plan", "RTRECORD": "a treatment record", "ECG": "a waveform", "HD": "a waveform",
    "AU": "a sound recording", "DOC": "a document", "REG": "a registration", "FID": "a set of fiducials",
    "RWV": "a mapping of values", "PLAN": "a plan", "M3D": "a model", "ANN": "annotations", "TEXTUREMAP": "a texture",
}  # fmt: skip


class DicomFrames:
    """An object's frames; those of a mosaic are its tiles."""

    def __init__(self, file: DicomFile) -> None:
        self.file = file
        self.data = file.data
        self.groups = Groups(file.data)
        self.tiles = tiles_of(file)
        self.count = self.tiles.count if self.tiles else max(1, integer(file.data, "NumberOfFrames", 1))

    def frame(self, number: int) -> Frame:
        """One frame, from 0. NoPicture where there is none, or it can't be decoded."""
        if self.file.pixels is None:
            raise NoPicture(self.without())
        if not 0 <= number < self.count:
            raise NoPicture(f"It has {self.count} frames; there is no frame {number + 1}.")
        checked(integer(self.data, "Rows", 0), integer(self.data, "Columns", 0))
        stored = 0 if self.tiles else number
        pixels = decode(self.file, stored)
        if self.tiles:
            pixels = self.tiles.cut(pixels, number)
        photometric = text(self.data.get("PhotometricInterpretation"))
        if photometric == "PALETTE COLOR" and "RedPaletteColorLookupTableDescriptor" in self.data:
            return Frame(pixels=self._through_palette(pixels), spacing=self.groups.spacing(stored))
        if pixels.ndim == 3:
            return Frame(pixels=_eight_bits(pixels, self._bits()), spacing=self.groups.spacing(stored))
        return self._grey(pixels, stored, invert=photometric == "MONOCHROME1" or self._inverse())

    def without(self) -> str:
        """Why there is nothing to see: what the object is instead."""
        modality = text(self.data.get("Modality"))
        if modality in _OBJECTS:
            return f"This is {_OBJECTS[modality]} ({modality}), without pixels."
        for keyword, what in (("WaveformSequence", "a waveform"), ("EncapsulatedDocument", "a document")):
            if keyword in self.data:
                return f"This is {what}, without pixels."
        if "SpectroscopyData" in self.data:
            return "This is spectroscopy data, without pixels."
        name = self.data.get("SOPClassUID")
        known = getattr(name, "name", "") or "an object of an unknown kind"
        return f"It has no pixel data ({known[:80]})."

    def _through_palette(self, pixels: NDArray[Any]) -> NDArray[Any]:
        from pydicom.pixels.processing import apply_color_lut

        entries = numbers(self.data.get("RedPaletteColorLookupTableDescriptor"))
        shown = apply_color_lut(pixels, palette_of(self.data))
        return _eight_bits(shown, 16 if shown.dtype.itemsize == 2 or (entries and entries[-1] == 16) else 8)

    def _bits(self) -> int:
        return integer(self.data, "BitsStored", 8)

    def _inverse(self) -> bool:
        return text(self.data.get("PresentationLUTShape")) == "INVERSE"

    def _grey(self, pixels: NDArray[Any], number: int, *, invert: bool) -> Frame:
        frame = Frame(pixels=pixels, invert=invert, spacing=self.groups.spacing(number), unit=self._unit(number))
        table = self.data.get("ModalityLUTSequence")
        if table:
            from pydicom.pixels.processing import apply_modality_lut

            frame.pixels = apply_modality_lut(pixels, self.data)
            frame.unit = text(table[0].get("ModalityLUTType")) if frame.unit == "" else frame.unit
        else:
            place = "PixelValueTransformationSequence"
            slope = self.groups.numbers(number, place, "RescaleSlope")
            intercept = self.groups.numbers(number, place, "RescaleIntercept")
            if slope and intercept and slope[0] != 0:
                frame.slope, frame.intercept = slope[0], intercept[0]
            frame.padding = self._padding()
        frame.windows = self._windows(number)
        return frame

    def _padding(self) -> tuple[float, float] | None:
        found = numbers(self.data.get("PixelPaddingValue"))
        limit = numbers(self.data.get("PixelPaddingRangeLimit")) or found
        return (min(found[0], limit[0]), max(found[0], limit[0])) if found else None

    def _unit(self, number: int) -> str:
        kind = self.groups.text(number, "PixelValueTransformationSequence", "RescaleType")
        if kind and kind != "US":
            return kind[:16]
        if text(self.data.get("Modality")) == "CT" and self.groups.numbers(
            number, "PixelValueTransformationSequence", "RescaleIntercept"
        ):
            return "HU"
        return text(self.data.get("Units"))[:16]

    def _windows(self, number: int) -> list[Window]:
        """Windows of the header; a VOI LUT counts as the range that it spans."""
        place = "FrameVOILUTSequence"
        centers = self.groups.numbers(number, place, "WindowCenter")
        widths = self.groups.numbers(number, place, "WindowWidth")
        names = self.groups.names(number, place, "WindowCenterWidthExplanation")
        function = _FUNCTIONS.get(self.groups.text(number, place, "VOILUTFunction"), "linear")
        found = [
            Window(center, width, names[at][:40] if at < len(names) else "", function)
            for at, (center, width) in enumerate(zip(centers, widths, strict=False))
            if width > 0
        ]
        if not found and (table := self.data.get("VOILUTSequence")):
            described = numbers(table[0].get("LUTDescriptor"))
            if len(described) == 3:
                entries = described[0] or 65536
                found = [Window(described[1] + entries / 2, entries, "VOI LUT")]
        return found[:_WINDOWS]


def _eight_bits(pixels: NDArray[Any], bits: int) -> NDArray[Any]:
    import numpy as np

    if pixels.dtype == np.uint8 and bits == 8:
        return pixels[..., :3]
    return (pixels[..., :3].astype(np.int64) >> max(0, bits - 8)).clip(0, 255).astype(np.uint8)
