"""One decoded frame: numbers with what they mean, or colours."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any, Final

from scandock.model.dataclass import dataclass

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scandock.viewing.orientation import Orientation

MOST_PIXELS: Final = 100_000_000
"""Of one frame: four times the largest mammograms. Declared sizes are held against it before anything is decoded."""


class NotViewable(Exception):
    """A file, or a frame of it, can't be shown: `str` of it is the reason, a sentence for people."""


@dataclass(frozen=True, slots=True)
class Window:
    """A way of showing numbers as grey: PS3.3 C.11.2; `function` is linear, linear_exact or sigmoid."""

    center: float
    width: float
    name: str = ""
    function: str = "linear"


@dataclass(frozen=True, slots=True)
class LookupTable:
    """What values become: `entries[value - first]`; those beyond its ends what the last one at that end is."""

    first: int
    entries: NDArray[Any]
    bits: int
    """Of an entry."""

    def apply(self, values: NDArray[Any]) -> NDArray[Any]:
        """What values become, from 0 to `most`."""
        import numpy as np

        whole = values if values.dtype.kind in "iub" else np.rint(np.nan_to_num(values))
        at = np.clip(whole.astype(np.int64) - self.first, 0, len(self.entries) - 1)
        mapped: NDArray[Any] = self.entries[at]
        return mapped

    @property
    def most(self) -> int:
        """The largest value that an entry can have."""
        return (1 << self.bits) - 1


@dataclass(slots=True, kw_only=True)
class Frame:
    """`pixels` are rows x columns of numbers, or rows x columns x 3 of colours, 8 bits each.

    A shown value is `pixels * slope + intercept`, in `unit`. `invert`: low values are bright (MONOCHROME1).
    `spacing` is that of rows and of columns in mm, where it is known.
    """

    pixels: NDArray[Any]
    slope: float = 1.0
    intercept: float = 0.0
    unit: str = ""
    windows: list[Window] = field(default_factory=list)
    invert: bool = False
    spacing: tuple[float, float] | None = None
    orientation: Orientation | None = None
    """Towards which side of the patient each edge lies, where the header says it."""
    padding: tuple[float, float] | None = None
    """Raw values, from and to, that stand for nothing."""
    table: LookupTable | None = None
    """The first VOI LUT, by which shown values become grey; a way of showing them beside `windows`."""

    @property
    def colour(self) -> bool:
        return self.pixels.ndim == 3


def check_size(rows: int, columns: int) -> None:
    """NotViewable where a frame is larger than any that is shown."""
    if rows <= 0 or columns <= 0:
        raise NotViewable(f"It says that it has {rows} rows and {columns} columns.")
    if rows * columns > MOST_PIXELS:
        raise NotViewable(f"{rows} x {columns} pixels are more than are shown ({MOST_PIXELS // 1_000_000} million).")


def to_16_bits(frame: Frame) -> tuple[NDArray[Any], float, float]:
    """The numbers as 16-bit integers, with the slope and intercept that give the shown values back.

    Exact where they fit 16 bits as they stand; else scaled to the range that the frame has.
    """
    import numpy as np

    pixels = frame.pixels
    if pixels.dtype.kind == "b":
        pixels = pixels.astype(np.uint8)
    if pixels.dtype.kind in "iu":
        low, high = (int(pixels.min()), int(pixels.max())) if pixels.size else (0, 0)
        for kind in (np.int16, np.uint16):
            limits = np.iinfo(kind)
            if limits.min <= low and high <= limits.max:
                return pixels.astype(kind, copy=False), frame.slope, frame.intercept
    values = pixels.astype(np.float64)
    finite = values[np.isfinite(values)]
    bottom, top = (float(np.min(finite)), float(np.max(finite))) if finite.size else (0.0, 0.0)
    step = (top - bottom) / 65535
    if not step > 0 or not np.isfinite(step):
        step = 1.0
    filled = np.nan_to_num(values, nan=bottom, posinf=top, neginf=bottom)
    scaled = np.rint((filled - bottom) / step).astype(np.uint16)
    return scaled, step * frame.slope, bottom * frame.slope + frame.intercept
