"""Pixel data to numbers: by pydicom and the decoders that it finds, then by libjpeg-turbo and CharLS for the rest."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from scandock.viewing.dicom_file import DicomFile, PixelElement, format_text, get_integer
from scandock.viewing.frames import NotViewable, check_size

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom.dataset import Dataset

_VIDEO: Final = "1.2.840.10008.1.2.4.10"
_ELSEWHERE: Final = frozenset({"1.2.840.10008.1.2.4.94", "1.2.840.10008.1.2.4.95"})
_DEFLATED_FRAMES: Final = "1.2.840.10008.1.2.8.1"
PLAIN_FRAMES: Final = frozenset({_DEFLATED_FRAMES, "1.2.840.10008.1.2.1.98"})
"""Transfer syntaxes whose frames are encapsulated, and laid out as if they were not."""
_ERRORS: Final = (AttributeError, IndexError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError)
_EXPLICIT: Final = "1.2.840.10008.1.2.1"
_JPEG: Final = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in range(50, 71))
_HALVED: Final = ("YBR_FULL_422", "YBR_PARTIAL_422")
"""Of two pixels these have two values of brightness, and one of each color."""
_MOST_BYTES: Final = 480 * 1024**2
_JPEG_LS: Final = frozenset({"1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"})
_GRAY: Final = "MONOCHROME"


def decode_frame(file: DicomFile, number: int) -> NDArray[Any]:
    """One frame, from 0: rows x columns, or rows x columns x 3 as RGB.

    NotViewable with the reason where it can't be.
    """
    element, syntax = file.pixels, file.syntax
    assert element is not None
    if syntax.startswith(_VIDEO):
        raise NotViewable("It is stored as a video (MPEG), which is not shown.")
    if syntax in _ELSEWHERE:
        raise NotViewable("Its pixels are on another server (JPIP).")
    try:
        if syntax in PLAIN_FRAMES:
            return _decode_plain(file, number)
        try:
            return _decode_by_pydicom(file, number)
        except (RuntimeError, NotImplementedError, ValueError) as error:
            if syntax not in _JPEG | _JPEG_LS or (pixels := _decode_by_codecs(file, number)) is None:
                raise NotViewable(_explain_error(error, file)) from error
            return pixels
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, OSError, EOFError, zlib.error) as error:
        raise NotViewable(_explain_error(error, file)) from error


class DecodedFrames(NamedTuple):
    """All frames of a file, decoded and not converted: little endian, color by pixel."""

    data: bytes
    bits_allocated: int
    samples: int
    photometric: str


def decode_all(file: DicomFile) -> DecodedFrames:
    """All frames as they were before they were compressed.

    NotViewable with the reason where they can't be decoded.
    """
    count = max(1, get_integer(file.data, "NumberOfFrames", 1))
    syntax = file.syntax
    if file.pixels is None or syntax.startswith(_VIDEO) or syntax in _ELSEWHERE or syntax in PLAIN_FRAMES:
        raise NotViewable(f"Its transfer syntax {syntax[:64]} is not decoded as a whole.")
    pieces: list[bytes] = []
    shapes: set[tuple[int, int, str]] = set()
    try:
        for number in range(count):
            pixels, photometric = _decode_raw(file, number)
            samples = pixels.shape[2] if pixels.ndim == 3 else 1
            shapes.add((pixels.dtype.itemsize * 8, samples, photometric))
            pieces.append(pixels.astype(pixels.dtype.newbyteorder("<"), copy=False).tobytes())
    except (AttributeError, IndexError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        raise NotViewable(_explain_error(error, file)) from error
    if len(shapes) != 1:
        raise NotViewable("Its frames are not of one kind.")
    return DecodedFrames(b"".join(pieces), *shapes.pop())


def decode_native(file: DicomFile, number: int) -> bytes:
    """One frame, from 0, not compressed: its bytes in little endian as the file's own elements describe them.

    So its colors, planes and bits are those that metadata say, but for YBR_RCT and YBR_ICT, which are RGB once they are
    decoded (PS3.5 8.2.4). NotViewable with the reason where it can't be decoded.
    """
    if file.pixels is None:
        raise NotViewable("It has no pixel data.")
    if file.pixels.length is not None:
        return _cut_frame(file, file.pixels, number)
    if file.syntax.startswith(_VIDEO) or file.syntax in _ELSEWHERE:
        raise NotViewable(f"Its transfer syntax {file.syntax[:64]} is not decoded.")
    try:
        if file.syntax in PLAIN_FRAMES:
            return _read_plain(file, number)
        pixels, photometric = _decode_raw(file, number)
        return _lay_out(pixels, photometric, file)
    except (*_ERRORS, zlib.error) as error:
        raise NotViewable(_explain_error(error, file)) from error


def _cut_frame(file: DicomFile, place: PixelElement, number: int) -> bytes:
    """A frame that stands in the data set as it is, in little endian; those of 1 bit a pixel begin with a byte each."""
    bits = _frame_bits(file, place)
    offset, shift = divmod(number * bits, 8)
    size = -(-(shift + bits) // 8)
    if not 0 < size <= _MOST_BYTES:
        raise NotViewable("Its rows and columns make no frame that is shown.")
    file.stream.seek(place.start + offset)
    raw = file.stream.read(size) if offset + size <= (place.length or 0) else b""
    if len(raw) < size:
        raise NotViewable("Its pixel data ends before the frame does: the file is cut, or its header is wrong.")
    if not shift and not bits % 8:
        return raw
    return (int.from_bytes(raw, "little") >> shift & (1 << bits) - 1).to_bytes(-(-bits // 8), "little")


def _frame_bits(file: DicomFile, place: PixelElement) -> int:
    """Bits of a frame that is not compressed."""
    data = file.data
    samples = get_integer(data, "SamplesPerPixel", 1)
    allocated = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}.get(place.keyword)
    bits = get_integer(data, "Rows", 0) * get_integer(data, "Columns", 0) * samples
    bits *= allocated or get_integer(data, "BitsAllocated", 8)
    if samples == 3 and format_text(data.get("PhotometricInterpretation")) in _HALVED:
        return bits // 3 * 2
    return bits


def _read_plain(file: DicomFile, number: int) -> bytes:
    """The octets of a frame that is encapsulated as it is, or deflated (PS3.5 A.4.11, A.4.14)."""
    assert file.pixels is not None
    size = -(-_frame_bits(file, file.pixels) // 8)
    if not 0 < size <= _MOST_BYTES:
        raise NotViewable("Its rows and columns make no frame that is shown.")
    raw = _frame(file, number)
    if file.syntax == _DEFLATED_FRAMES:
        raw = zlib.decompressobj(-zlib.MAX_WBITS).decompress(raw, size)
    if len(raw) < size:
        raise NotViewable("Its pixel data ends before the frame does: the file is cut, or its header is wrong.")
    return raw[:size]


def _lay_out(pixels: NDArray[Any], photometric: str, file: DicomFile) -> bytes:
    """A decoded frame with the colors, planes and bits that its object's elements say."""
    import numpy as np

    data = file.data
    allocated = get_integer(data, "BitsAllocated", 8)
    if allocated == 1:
        return np.packbits(pixels.astype(bool).ravel(), bitorder="little").tobytes()
    width = allocated // 8
    if pixels.dtype.itemsize > width:
        raise NotViewable(f"Its pixels take more than the {allocated} bits that its header says.")
    if pixels.ndim == 3:
        pixels = _lay_out_colors(pixels, photometric, data)
    return pixels.astype(np.dtype(f"<{pixels.dtype.kind}{width}"), copy=False).tobytes()


def _lay_out_colors(pixels: NDArray[Any], photometric: str, data: Dataset) -> NDArray[Any]:
    from pydicom.pixels.processing import convert_color_space

    meant = format_text(data.get("PhotometricInterpretation"))
    meant = "RGB" if meant in ("YBR_RCT", "YBR_ICT") else meant
    full = "YBR_FULL" if meant == "YBR_FULL_422" else meant
    if photometric != full:
        if {photometric, full} != {"RGB", "YBR_FULL"} or pixels.dtype.itemsize != 1:
            raise NotViewable(f"It is decoded as {photometric[:16]}, and its header says {meant[:16]}.")
        pixels = convert_color_space(pixels, photometric, full)
    if meant == "YBR_FULL_422":
        return _pair_pixels(pixels)
    if get_integer(data, "PlanarConfiguration", 0) == 1:
        return pixels.transpose(2, 0, 1)
    return pixels


def _pair_pixels(pixels: NDArray[Any]) -> NDArray[Any]:
    """Y of two neighbors, then CB and CR of both (PS3.3 C.7.6.3.1.2).

    Where pixels are not compressed, columns have to be even for it (PS3.3 C.7.6.3, Columns): no frame can be what the
    metadata of one with odd columns say, by whatever library. A copy of the object has a header of its own.
    """
    import numpy as np

    rows, columns, _ = pixels.shape
    if columns % 2:
        raise NotViewable("Its colors are of pairs of pixels, which need an even number of columns.")
    pairs = pixels.reshape(rows, columns // 2, 2, 3)
    means = (pairs[..., 1:].sum(axis=2, dtype=np.uint32) + 1) // 2
    return np.concatenate([pairs[..., 0], means.astype(pixels.dtype)], axis=-1)


def _decode_raw(file: DicomFile, number: int) -> tuple[NDArray[Any], str]:
    """One frame without a conversion of its colors, and what they are."""
    from pydicom.pixels.decoders.base import get_decoder

    assert file.pixels is not None
    file.stream.seek(file.pixels.start)
    try:
        decoder = get_decoder(file.data.file_meta.TransferSyntaxUID)
        pixels, properties = decoder.as_array(file.stream, index=number, raw=True, **_options(file))
    except (RuntimeError, NotImplementedError, ValueError):
        if file.syntax not in _JPEG | _JPEG_LS or get_integer(file.data, "SamplesPerPixel", 1) != 1:
            raise
        gray = _decode_by_codecs(file, number)
        if gray is None or gray.ndim != 2:
            raise
        return gray, str(file.data.PhotometricInterpretation)
    photometric = str(properties["photometric_interpretation"])
    return pixels, "YBR_FULL" if photometric == "YBR_FULL_422" else photometric  # each pixel has its colors now


def _decode_by_pydicom(file: DicomFile, number: int) -> NDArray[Any]:
    from pydicom.pixels.decoders.base import get_decoder

    decoder = get_decoder(file.data.file_meta.TransferSyntaxUID)
    assert file.pixels is not None
    file.stream.seek(file.pixels.start)
    pixels, _ = decoder.as_array(file.stream, index=number, **_options(file))
    return pixels


def _options(file: DicomFile) -> dict[str, Any]:
    from pydicom.pixels.utils import as_pixel_options

    assert file.pixels is not None
    options = as_pixel_options(file.data, pixel_keyword=file.pixels.keyword, pixel_vr=file.pixels.vr)
    if str(options.get("photometric_interpretation", "")).startswith(_GRAY):
        options = {"samples_per_pixel": 1, "pixel_representation": 0, **options}  # some state neither
    if file.pixels.length is None and file.syntax not in PLAIN_FRAMES and "planar_configuration" in options:
        options["planar_configuration"] = (
            0  # codecs give colors by pixel, whatever the header says; RLE's says so itself
        )
    return {**options, "transfer_syntax_uid": file.data.file_meta.TransferSyntaxUID}


def _frame(file: DicomFile, number: int) -> bytes:
    """The compressed bytes of one frame (PS3.5 A.4)."""
    from pydicom.encaps import get_frame

    assert file.pixels is not None
    options = _options(file)
    file.stream.seek(file.pixels.start)
    return get_frame(
        file.stream, number, number_of_frames=options["number_of_frames"],
        extended_offsets=options.get("extended_offsets"),
    )  # fmt: skip


def _decode_plain(file: DicomFile, number: int) -> NDArray[Any]:
    """A frame of `PLAIN_FRAMES`, which pydicom does not know yet."""
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.uid import UID

    options = {**_options(file), "number_of_frames": 1, "transfer_syntax_uid": UID(_EXPLICIT)}
    pixels, _ = get_decoder(UID(_EXPLICIT)).as_array(_read_plain(file, number), index=0, **options)
    return pixels


def _decode_by_codecs(file: DicomFile, number: int) -> NDArray[Any] | None:
    """A frame in a JPEG or JPEG-LS that pydicom's decoders refuse (12 bits, progressive); None where this fails too."""
    import imagecodecs

    raw = _frame(file, number)
    try:
        pixels = imagecodecs.jpegls_decode(raw) if file.syntax in _JPEG_LS else imagecodecs.jpeg8_decode(raw)
    except (RuntimeError, ValueError):
        return None
    if pixels.ndim not in (2, 3):
        return None
    check_size(*pixels.shape[:2])
    if pixels.shape[:2] != (get_integer(file.data, "Rows", 0), get_integer(file.data, "Columns", 0)):
        raise NotViewable(f"Its picture has {pixels.shape[0]} x {pixels.shape[1]} pixels, and not those of its header.")
    if get_integer(file.data, "PixelRepresentation", 0) == 1 and pixels.dtype.kind == "u":
        shift = pixels.dtype.itemsize * 8 - get_integer(file.data, "BitsStored", pixels.dtype.itemsize * 8)
        pixels = (pixels << max(0, shift)).view(f"i{pixels.dtype.itemsize}") >> max(0, shift)
    return pixels


def _explain_error(error: Exception, file: DicomFile) -> str:
    """Why a frame has no numbers, in words of ours: those of libraries are for who calls them."""
    text = str(error)
    if isinstance(error, NotImplementedError):
        return f"Its transfer syntax {file.syntax[:64]} is not shown."
    if "less than expected" in text or "cannot reshape" in text or "buffer size" in text:
        return "Its pixel data ends before the frame does: the file is cut, or its header is wrong."
    return "It can't be decoded: its pixel data, or what describes it, is damaged."
