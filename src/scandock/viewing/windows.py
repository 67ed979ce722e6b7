"""From numbers to grey: window or VOI LUT of the header, else a window by the frame's own values (PS3.3 C.11.2.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from scandock.viewing.frames import Frame, LookupTable, Window

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LOWEST, _HIGHEST = 0.5, 99.5
"""Percentiles that the automatic window spans: a bright dot shall not leave the rest dark."""

_SAMPLE: Final = 250_000
"""Values that percentiles are told from."""


def default_window(frame: Frame) -> Window:
    """The first window of the header, else the automatic one."""
    return frame.windows[0] if frame.windows else automatic_window(frame)


def automatic_window(frame: Frame) -> Window:
    """A window over all but the outermost values, leaving out what is padding."""
    import numpy as np

    pixels = frame.pixels
    step = max(1, int((pixels.size / _SAMPLE) ** 0.5))
    values = pixels[::step, ::step].ravel()
    if frame.padding is not None:
        unpadded = values[(values < frame.padding[0]) | (values > frame.padding[1])]
        values = unpadded if unpadded.size else values
    values = values.astype(np.float64)
    values = values[np.isfinite(values)]
    if not values.size:
        return Window(0.5, 1.0)
    low, high = np.percentile(values, (_LOWEST, _HIGHEST))
    if not high > low:
        low, high = values.min(), values.max()
    low, high = (float(percentile) * frame.slope + frame.intercept for percentile in (low, high))
    if low > high:
        low, high = high, low
    return Window((low + high) / 2, max(high - low, 1e-6 * max(abs(low), abs(high), 1e-6)), "", "linear_exact")


def to_grey(frame: Frame, window: Window) -> NDArray[np.uint8]:
    """The frame as 8 bits, through a window; inverted where low values are bright."""
    return _to_eight_bits(frame, _apply_window(_shown_values(frame), window))


def through_table(frame: Frame, table: LookupTable) -> NDArray[np.uint8]:
    """The frame as 8 bits, through a VOI LUT (PS3.3 C.11.2.1.1); inverted where low values are bright."""
    is_stored = frame.slope == 1 and frame.intercept == 0
    values = frame.pixels if is_stored else _shown_values(frame)
    return _to_eight_bits(frame, table.apply(values) / table.most)


def _shown_values(frame: Frame) -> NDArray[Any]:
    import numpy as np

    values: NDArray[Any] = frame.pixels.astype(np.float32 if frame.pixels.dtype.itemsize <= 2 else np.float64)
    return np.asarray(values * frame.slope + frame.intercept)


def _to_eight_bits(frame: Frame, shade: NDArray[Any]) -> NDArray[np.uint8]:
    import numpy as np

    grey: NDArray[np.uint8] = np.nan_to_num(np.clip(shade, 0, 1) * 255 + 0.5).astype(np.uint8)
    return np.invert(grey) if frame.invert else grey


def _apply_window(values: NDArray[Any], window: Window) -> NDArray[Any]:
    import numpy as np

    center, width = window.center, window.width
    if window.function == "sigmoid":
        return np.asarray(1 / (1 + np.exp(np.clip(-4 * (values - center) / max(width, 1e-9), -60, 60))))
    if window.function == "linear_exact":
        return np.asarray((values - center) / max(width, 1e-30) + 0.5)
    if width <= 1:
        return np.asarray(values > center - 0.5, dtype=np.float32)
    return np.asarray((values - (center - 0.5)) / (width - 1) + 0.5)
