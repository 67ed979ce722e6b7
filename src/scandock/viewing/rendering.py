"""Frames as pictures: PNG where every pixel counts, WebP where a small one does."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

from scandock.viewing.frames import Frame, LookupTable, Window
from scandock.viewing.windows import default_window, through_table, to_grey

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

THUMBNAIL: Final = 256
"""Pixels of a thumbnail's longer side."""

LARGEST: Final = 4096
"""Pixels of a picture's longer side, at most."""


def render_thumbnail(frame: Frame) -> bytes:
    """A small WebP, in the proportions that the pixels' spacing says."""
    return _render(frame, None, THUMBNAIL, "WEBP")


def render_picture(frame: Frame, window: Window | None, size: int | None) -> bytes:
    """A PNG, pixel by pixel, or with the longer side of `size`."""
    return _render(frame, window, size, "PNG")


def render_jpeg(frame: Frame, window: Window | None, viewport: tuple[int, int] | None, quality: int) -> bytes:
    """A JPEG that fits into so many pixels, wide and high, where these are named; by its VOI LUT without a window."""
    return _render(frame, window or frame.table, _side_within(frame, viewport), "JPEG", quality)


def render_png_within(frame: Frame, window: Window | None, viewport: tuple[int, int] | None) -> bytes:
    """A PNG that fits into so many pixels, wide and high, where these are named; by its VOI LUT without a window."""
    return _render(frame, window or frame.table, _side_within(frame, viewport), "PNG")


def _side_within(frame: Frame, viewport: tuple[int, int] | None) -> int | None:
    """The longer side of the picture that fits into a viewport."""
    if viewport is None:
        return None
    rows, columns = frame.spacing or (1.0, 1.0)
    height, width = float(frame.pixels.shape[0] * rows), float(frame.pixels.shape[1] * columns)
    scale = min(viewport[0] / width, viewport[1] / height)
    return max(1, min(LARGEST, round(scale * max(width, height))))


def _shade(frame: Frame, how: Window | LookupTable | None) -> NDArray[np.uint8]:
    if isinstance(how, LookupTable):
        return through_table(frame, how)
    return to_grey(frame, how or default_window(frame))


def _render(frame: Frame, how: Window | LookupTable | None, size: int | None, kind: str, quality: int = 90) -> bytes:
    from PIL import Image

    pixels = frame.pixels if frame.colour else _shade(frame, how)
    image = Image.fromarray(pixels)
    width, height = image.size
    if size is None and max(width, height) > LARGEST:
        size = LARGEST
    if size is not None:
        rows, columns = frame.spacing or (1.0, 1.0)
        wide, high = width * columns, height * rows
        scale = size / max(wide, high)
        shape = (max(1, min(size, round(wide * scale))), max(1, min(size, round(high * scale))))
        if shape != image.size:
            shrunk = shape[0] <= width and shape[1] <= height
            image = image.resize(shape, Image.Resampling.BOX if shrunk else Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    if kind == "WEBP":
        image.convert("RGB").save(buffer, "WEBP", quality=82, method=2)
    elif kind == "JPEG":
        image.save(buffer, "JPEG", quality=quality)
    else:
        image.save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()
