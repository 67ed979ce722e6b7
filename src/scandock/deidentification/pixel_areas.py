"""Rectangles of pixels filled with one color (DicomEdit's `alterPixels`).

Native pixels are changed row by row as they are read and written, by pieces of 4 MB, in every frame and in what stands
behind the last one. Compressed ones
are decoded by whoever runs the script, filled, and stored native; that they were compressed with losses stays said.
What is no range of bytes (1 bit, 4:2:0) fails: nothing passes unaltered. With an area that is filled go pictures within
items (icons) and overlays in the unused bits of the pixels.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from math import ceil, floor
from typing import TYPE_CHECKING, Final

from scandock.deidentification.script.errors import PixelsUnalterable
from scandock.model.dataclass import dataclass
from scandock.model.tags import PIXEL_DATA

if TYPE_CHECKING:
    from scandock.deidentification.data_set import DataSet, DicomObject, PixelEdit

_PIXEL_DATA, _FLOAT_PIXEL_DATA, _DOUBLE_PIXEL_DATA = 0x7FE00010, 0x7FE00008, 0x7FE00009
_OFFSETS: Final = (0x7FE00001, 0x7FE00002, 0x7FE00003)
_ICONS: Final = 0x00880200
_SAMPLES, _PHOTOMETRIC, _PLANAR, _FRAMES = 0x00280002, 0x00280004, 0x00280006, 0x00280008
_ROWS, _COLUMNS, _ALLOCATED, _STORED, _HIGH, _SIGNED = (
    *(0x00280010, 0x00280011, 0x00280100, 0x00280101, 0x00280102, 0x00280103),
)
_LOSSY, _LOSSY_METHOD = 0x00282110, 0x00282114
_SYNTAX: Final = 0x00020010
_EXPLICIT_LITTLE: Final = "1.2.840.10008.1.2.1"
_NATIVE: Final = frozenset({"", "1.2.840.10008.1.2", _EXPLICIT_LITTLE, "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"})
_LOSSY_METHODS: Final = {
    **{f"1.2.840.10008.1.2.4.{number}": "ISO_10918_1" for number in (50, 51, 52, 53, 54, 55, 56)},
    "1.2.840.10008.1.2.4.81": "ISO_14495_1",
    "1.2.840.10008.1.2.4.91": "ISO_15444_1",
    "1.2.840.10008.1.2.4.93": "ISO_15444_2",
    "1.2.840.10008.1.2.4.203": "ISO_15444_15",
    "1.2.840.10008.1.2.4.112": "ISO_18181_1",
}
"""Methods of compression whose syntax says that they have losses (PS3.3 C.7.6.1.1.5.1)."""
_SIDES: Final = {"l": "left", "t": "top", "r": "right", "b": "bottom"}
_COLORS: Final = {"r": "red", "g": "green", "b": "blue"}
_NUMBER: Final = re.compile(r"-?\d{1,9}(\.\d{1,9})?", re.ASCII)
_GRAYS: Final = frozenset({"", "MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"})


class AreaError(ValueError):
    """A shape or a color that isn't known; says why without quoting it."""


@dataclass(frozen=True, slots=True)
class Area:
    """Columns `left` to `right` and rows `top` to `bottom`, the ends not included."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True, slots=True)
class Fill:
    red: int
    green: int
    blue: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedPixels:
    """Pixels of every frame, decoded: little endian, color by pixel, `photometric` as they are now."""

    data: bytes
    bits_allocated: int
    samples: int
    photometric: str


PixelDecoder = Callable[["DicomObject"], "DecodedPixels | None"]
"""Decodes the compressed pixels that an object had when it was read, in a process of its own; None where it can't."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """How the pixels of one frame stand in bytes."""

    rows: int
    columns: int
    samples: int
    sample_bytes: int
    by_plane: bool
    shared: bool
    """4:2:2: two pixels share their colors, stored as Y Y Cb Cr."""

    @property
    def row_bytes(self) -> int:
        """Of one row; of one plane where they are apart."""
        if self.shared:
            return self.columns * 2
        return self.columns * self.sample_bytes * (1 if self.by_plane else self.samples)

    @property
    def planes(self) -> int:
        return self.samples if self.by_plane else 1


def read_area(shape: str, text: str) -> Area:
    """The area of a rectangle, as `l=100, t=100, r=200, b=200`. Raises AreaError."""
    if shape.strip() != "rectangle":
        raise AreaError("alterPixels fills rectangles alone")
    values = _read_values(text, _SIDES)
    if values is None or set(values) != set(_SIDES):
        raise AreaError("a rectangle has l=, t=, r= and b=")
    left, right = sorted((values["l"], values["r"]))
    top, bottom = sorted((values["t"], values["b"]))
    return Area(floor(left), floor(top), ceil(right), ceil(bottom))


def read_fill(kind: str, text: str) -> Fill:
    """The color of a fill, as `v=0` or `r=0, g=0, b=0`. Raises AreaError."""
    if kind.strip() != "solid":
        raise AreaError("alterPixels fills with one color alone (solid)")
    values = _read_values(text, {"v": "value", **_COLORS})
    if values is None or set(values) not in ({"v"}, set(_COLORS)):
        raise AreaError("a fill has v=, or r=, g= and b=")
    if any(value != int(value) or not 0 <= value <= 255 for value in values.values()):
        raise AreaError("a fill has values from 0 to 255")
    if "v" in values:
        return Fill(*(int(values["v"]),) * 3)
    return Fill(int(values["r"]), int(values["g"]), int(values["b"]))


def _read_values(text: str, names: Mapping[str, str]) -> dict[str, float] | None:
    """Numbers by the letters of their names; None where something else stands there, or one twice."""
    letters = {**{name: name for name in names}, **{full: name for name, full in names.items()}}
    values: dict[str, float] = {}
    for part in re.sub(r"\s+", "", text).split(","):
        name, _, number = part.partition("=")
        letter = letters.get(name)
        if letter is None or letter in values or _NUMBER.fullmatch(number) is None:
            return None
        values[letter] = float(number)
    return values


def alter_pixels(obj: DicomObject, area: Area, fill: Fill, decode: PixelDecoder | None) -> bool:
    """Fill an area of every frame; whether there was anything to fill. Raises PixelsUnalterable."""
    data = obj.data
    tag = next((tag for tag in (_PIXEL_DATA, _FLOAT_PIXEL_DATA, _DOUBLE_PIXEL_DATA) if tag in data), None)
    if tag is None:
        return False
    rows, columns = _integer(data, _ROWS), _integer(data, _COLUMNS)
    if rows <= 0 or columns <= 0:
        raise PixelsUnalterable("The pixels can't be altered: the object says no rows and columns")
    area = Area(max(0, area.left), max(0, area.top), min(columns, area.right), min(rows, area.bottom))
    if area.left >= area.right or area.top >= area.bottom:
        return False
    is_native = obj.transfer_syntax in _NATIVE
    if obj.pixels is not None and tag not in data.changes and obj.pixels.is_encapsulated is is_native:
        raise PixelsUnalterable("The pixels can't be altered: they are not stored as the transfer syntax says")
    if not is_native:
        _decompress(obj, decode)
    layout = _read_layout(data, tag, rows, columns)
    samples = [_pack(value, tag, layout.sample_bytes, big=data.big) for value in _fill_samples(data, layout, fill)]
    vr, size = data.vr(tag), data.size(tag)
    _check_size(size, layout, max(1, _integer(data, _FRAMES, 1)))
    edits: list[PixelEdit] = [_AreaFill(layout, area, _runs(layout, area, samples))]
    mask = _find_high_bits(data, tag, layout)
    if mask is not None:
        edits.insert(0, mask)
    if data.big and layout.sample_bytes == 1 and vr != "OB":
        edits = [_Swapped(edit) for edit in edits]
    _edit(obj, tag, vr, edits)
    for inner, number in data.walk():
        if number == _ICONS or (number in PIXEL_DATA and inner is not data):
            inner.remove(number)
    return True


def _integer(data: DataSet, tag: int, default: int = 0) -> int:
    texts = data.texts(tag)
    try:
        return int(texts[0]) if texts else default
    except ValueError:
        raise PixelsUnalterable("The pixels can't be altered: what describes them is no number") from None


def _read_layout(data: DataSet, tag: int, rows: int, columns: int) -> _Layout:
    samples = _integer(data, _SAMPLES, 1)
    allocated = {_FLOAT_PIXEL_DATA: 32, _DOUBLE_PIXEL_DATA: 64}.get(tag) or _integer(data, _ALLOCATED)
    photometric = (data.text(_PHOTOMETRIC) or "").strip()
    if allocated not in {8, 16, 32, 64}:
        raise PixelsUnalterable("The pixels can't be altered: they are no whole bytes")
    is_shared = photometric == "YBR_FULL_422"
    if samples == 1 and photometric in _GRAYS:
        return _Layout(rows, columns, 1, allocated // 8, by_plane=False, shared=False)
    if samples != 3 or photometric not in {"RGB", "YBR_FULL", "YBR_FULL_422"} or (is_shared and allocated != 8):
        raise PixelsUnalterable("The pixels can't be altered: their colors are stored in a way that isn't supported")
    if is_shared and (columns % 2 or _integer(data, _PLANAR)):
        raise PixelsUnalterable("The pixels can't be altered: their colors are shared in a way that isn't supported")
    return _Layout(rows, columns, 3, allocated // 8, by_plane=bool(_integer(data, _PLANAR)), shared=is_shared)


def _check_size(size: int, layout: _Layout, frames: int) -> None:
    """Fail where there are fewer bytes than the frames have: rows would be filled that are none."""
    expected = frames * layout.row_bytes * layout.rows * layout.planes
    if size < expected or (layout.shared and size > expected + 1):
        raise PixelsUnalterable("The pixels can't be altered: their size is not that of the frames")


def _fill_samples(data: DataSet, layout: _Layout, fill: Fill) -> list[int]:
    """The stored values of a filled pixel, by sample."""
    if layout.samples == 1:
        if not fill.red == fill.green == fill.blue:
            return [round(0.299 * fill.red + 0.587 * fill.green + 0.114 * fill.blue)]
        return [fill.red]
    if (data.text(_PHOTOMETRIC) or "").strip() == "RGB":
        return [fill.red, fill.green, fill.blue]
    red, green, blue = fill.red, fill.green, fill.blue
    values = (
        0.299 * red + 0.587 * green + 0.114 * blue,
        128 - 0.168736 * red - 0.331264 * green + 0.5 * blue,
        128 + 0.5 * red - 0.418688 * green - 0.081312 * blue,
    )
    return [min(255, max(0, round(value))) for value in values]


def _pack(value: int, tag: int, width: int, *, big: bool) -> bytes:
    import struct

    if tag != _PIXEL_DATA:
        return struct.pack((">" if big else "<") + ("f" if tag == _FLOAT_PIXEL_DATA else "d"), value)
    return value.to_bytes(width, "big" if big else "little")


def _edit(obj: DicomObject, tag: int, vr: str, edits: Sequence[PixelEdit]) -> None:
    """Edit the pixels of the original as they are read; what has come in their place, and what is packed, at once."""
    data, pixels = obj.data, obj.pixels
    if pixels is not None and pixels.tag == tag and tag not in data.changes and not obj.deflated:
        obj.pixels = data.pixels = pixels._replace(edits=(*pixels.edits, *edits))
        return
    value = bytearray(data.value(tag))
    for edit in edits:
        edit(value, 0)
    data.set_value(tag, vr, bytes(value))


def _runs(layout: _Layout, area: Area, samples: list[bytes]) -> list[bytes]:
    """The bytes of a row of a filled area, by plane."""
    if layout.shared:
        return [(samples[0] * 2 + samples[1] + samples[2]) * (-(-area.right // 2) - area.left // 2)]
    if layout.by_plane:
        return [sample * (area.right - area.left) for sample in samples]
    return [b"".join(samples) * (area.right - area.left)]


@dataclass(frozen=True, slots=True)
class _AreaFill:
    """Fills an area in each frame and each plane, also in a frame that is cut."""

    layout: _Layout
    area: Area
    runs: list[bytes]

    def __call__(self, piece: bytearray, offset: int) -> None:
        layout, area = self.layout, self.area
        row_bytes, plane_bytes, end = layout.row_bytes, layout.row_bytes * layout.rows, offset + len(piece)
        if layout.shared:
            left = area.left // 2 * 4
        else:
            left = area.left * layout.sample_bytes * (1 if layout.by_plane else layout.samples)
        for plane in range(offset // plane_bytes, -(-end // plane_bytes)):
            run, plane_at = self.runs[plane % layout.planes], plane * plane_bytes
            first = max(area.top, (offset - plane_at) // row_bytes)
            last = min(area.bottom, -(-(end - plane_at) // row_bytes))
            for row in range(first, last):
                at = plane_at + row * row_bytes + left
                start, stop = max(at, offset), min(at + len(run), end)
                if start < stop:
                    piece[start - offset : stop - offset] = run[start - at : stop - at]


@dataclass(frozen=True, slots=True)
class _Swapped:
    """An edit of bytes that stand in words of two (PS3.5 A.3): in the order in which they are seen, and back."""

    edit: PixelEdit

    def __call__(self, piece: bytearray, offset: int) -> None:
        odd = len(piece) % 2
        piece += bytes(odd)
        _swap_bytes(piece)
        self.edit(piece, offset)
        _swap_bytes(piece)
        if odd:
            del piece[-1]


def _swap_bytes(pixels: bytearray) -> None:
    pixels[0::2], pixels[1::2] = pixels[1::2], pixels[0::2]


@dataclass(frozen=True, slots=True)
class _HighBits:
    """Removes what stands in the bits that samples don't use, which is their sign where they have one."""

    dtype: str
    kept: int
    sign: int
    """The bit of the sign, or -1 where the samples have none or use all their bits."""
    above: int
    """The bits above it."""

    def __call__(self, piece: bytearray, _offset: int) -> None:
        import numpy as np

        dtype = np.dtype(self.dtype)
        count = len(piece) // dtype.itemsize
        view = np.frombuffer(piece, dtype=dtype, count=count)
        cleared = view & self.kept
        if self.sign >= 0:
            cleared = cleared | ((view >> self.sign) & 1) * self.above
        piece[: count * dtype.itemsize] = cleared.astype(dtype).tobytes()


def _find_high_bits(data: DataSet, tag: int, layout: _Layout) -> _HighBits | None:
    """How overlays are removed that stand in the bits which the pixels don't use; their description is, here."""
    groups = [
        number & 0xFFFF0000
        for number in data.tags()
        if 0x60000000 <= number < 0x60200000 and not number & 0x10000 and number & 0xFFFF == 0x0100
    ]
    embedded = [group for group in groups if group | 0x3000 not in data]
    if not embedded or tag != _PIXEL_DATA:
        return None
    allocated = layout.sample_bytes * 8
    stored = _integer(data, _STORED, allocated)
    high = _integer(data, _HIGH, stored - 1)
    if not 0 < stored <= allocated or not stored - 1 <= high < allocated:
        raise PixelsUnalterable("The pixels can't be altered: the bits that they use are told wrongly")
    has_sign = bool(_integer(data, _SIGNED)) and high + 1 < allocated
    for number in data.tags():
        if number & 0xFFFF0000 in embedded:
            data.remove(number)
    return _HighBits(
        dtype=f"{'>' if data.big else '<'}u{layout.sample_bytes}",
        kept=((1 << stored) - 1) << (high + 1 - stored),
        sign=high if has_sign else -1,
        above=((1 << allocated) - 1) ^ ((1 << (high + 1)) - 1),
    )


def _decompress(obj: DicomObject, decode: PixelDecoder | None) -> None:
    """Put decoded pixels in the place of compressed ones; the lossy history stays, or is told where it was not."""
    data, syntax = obj.data, obj.transfer_syntax
    if decode is None or obj.meta is None or _PIXEL_DATA not in data:
        raise PixelsUnalterable("The pixels can't be altered: they are compressed, and can't be decoded here")
    decoded = decode(obj)
    expected = None
    if decoded is not None:
        frames = max(1, _integer(data, _FRAMES, 1))
        frame = _integer(data, _ROWS) * _integer(data, _COLUMNS) * decoded.samples * decoded.bits_allocated // 8
        expected = frames * frame
    if (
        decoded is None
        or expected is None
        or len(decoded.data) < expected
        or decoded.bits_allocated not in {8, 16, 32}
        or decoded.photometric not in ({*_GRAYS} if decoded.samples == 1 else {"RGB", "YBR_FULL"})
    ):
        raise PixelsUnalterable("The pixels can't be altered: they can't be decoded")
    data.set_text(_SAMPLES, str(decoded.samples), "US")
    data.set_text(_PHOTOMETRIC, decoded.photometric, "CS")
    data.set_text(_ALLOCATED, str(decoded.bits_allocated), "US")
    if decoded.samples > 1:
        data.set_text(_PLANAR, "0", "US")
    for tag in _OFFSETS:
        data.remove(tag)
    if syntax in _LOSSY_METHODS and (data.text(_LOSSY) or "").strip() != "01":
        data.set_text(_LOSSY, "01", "CS")
        if not data.text(_LOSSY_METHOD):
            data.set_text(_LOSSY_METHOD, _LOSSY_METHODS[syntax], "CS")
    data.set_value(_PIXEL_DATA, "OB" if decoded.bits_allocated == 8 else "OW", decoded.data)
    obj.meta.set_value(_SYNTAX, "UI", _EXPLICIT_LITTLE.encode())
    obj.transfer_syntax = _EXPLICIT_LITTLE
