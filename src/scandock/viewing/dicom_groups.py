"""What is said of one frame: in its functional groups (PS3.3 C.7.6.16), else in those that all share, else for all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scandock.formats.dicom_text import decode
from scandock.viewing.dicom_file import charsets_of, numbers, raw_value, text

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


class Groups:
    """Elements by frame, from 0, of an object with functional groups or without."""

    def __init__(self, data: Dataset) -> None:
        self.data = data
        self._own = _items(data, "PerFrameFunctionalGroupsSequence")
        shared = _items(data, "SharedFunctionalGroupsSequence")
        self._shared = shared[0] if shared else None

    @property
    def framed(self) -> bool:
        """Whether frames have something of their own."""
        return bool(self._own)

    def macro(self, frame: int, sequence: str) -> Any:  # noqa: ANN401  a Dataset or None
        """The item of a functional group's sequence that holds for a frame."""
        own = self._own[frame] if frame < len(self._own) else None
        for group in (own, self._shared):
            if group is not None and (found := _items(group, sequence)):
                return found[0]
        return None

    def value(self, frame: int, sequence: str, keyword: str) -> Any:  # noqa: ANN401
        """A value of a functional group; where there is none, the data set's own element of that name."""
        group = self.macro(frame, sequence)
        found = group.get(keyword) if group is not None else None
        return self.data.get(keyword) if found is None else found

    def numbers(self, frame: int, sequence: str, keyword: str) -> list[float]:
        return numbers(self.value(frame, sequence, keyword))

    def text(self, frame: int, sequence: str, keyword: str) -> str:
        return text(self.value(frame, sequence, keyword))

    def names(self, frame: int, sequence: str, keyword: str) -> list[str]:
        """All values of a text (LO), by the decoder that an import uses: pydicom knows fewer character sets."""
        group = self.macro(frame, sequence)
        data = self.data if group is None or keyword not in group else group
        raw = raw_value(data, keyword)
        charsets = charsets_of(data) or charsets_of(self.data)
        return decode(raw, "LO", charsets, False).split("\\") if raw else []

    def spacing(self, frame: int) -> tuple[float, float] | None:
        """Of rows and of columns in mm: Pixel Spacing, or what a projection has instead; else Pixel Aspect Ratio."""
        found = self.numbers(frame, "PixelMeasuresSequence", "PixelSpacing")
        for keyword in ("ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio"):
            found = found or numbers(self.data.get(keyword))
        return (found[0], found[1]) if len(found) == 2 and min(found) > 0 else None


def _items(data: Any, keyword: str) -> list[Any]:  # noqa: ANN401  a Dataset
    """The items of a sequence; none where it is missing or no sequence."""
    try:
        found = data.get(keyword)
        return list(found) if found else []
    except (TypeError, ValueError, AttributeError, NotImplementedError):
        return []
