"""Rectangles of pixels that scripts fill: each pixel of each frame, whatever way they are stored in."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
)

from scandock.deidentification import data_set
from scandock.deidentification.data_set import DicomObject, EditedPixels
from scandock.deidentification.encoding import encode
from scandock.deidentification.parsing import parse
from scandock.deidentification.pixel_areas import AreaError, DecodedPixels, Fill, read_area, read_fill
from scandock.deidentification.script.errors import PixelsUnalterable, ScriptFailed
from scandock.deidentification.script.evaluator import ScriptOutcome
from scandock.deidentification.verification import verify
from tests.unit.deidentification.objects import written
from tests.unit.deidentification.script.script_objects import context, read_back, run
from tests.unit.formats_dicom.build import Writer, make_object

AREA = 'alterPixels["rectangle", "l=1, t=2, r=4, b=5", "solid", "v=7"]'
INSIDE = np.s_[2:5, 1:4]
ROWS, COLUMNS = 8, 6


@pytest.fixture(autouse=True, params=[None, 16], ids=["one-piece", "pieces"])
def piece(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pixels are edited as a whole, or in pieces that end in the middle of rows and areas."""
    if request.param is not None:
        monkeypatch.setattr(data_set, "_PIECE", request.param)


def image(pixels: NDArray[Any], syntax: str = ExplicitVRLittleEndian, **more: Any) -> bytes:
    """A file with pixels: frames x rows x columns, with samples at the end of colors."""
    data = pydicom.Dataset()
    data.SOPClassUID, data.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3"
    is_color = pixels.ndim == 4
    frames, data.Rows, data.Columns = pixels.shape[:3]
    data.NumberOfFrames = frames
    data.SamplesPerPixel = 3 if is_color else 1
    data.PhotometricInterpretation = "RGB" if is_color else "MONOCHROME2"
    if is_color:
        data.PlanarConfiguration = 0
    data.BitsAllocated = data.BitsStored = pixels.dtype.itemsize * 8
    data.HighBit, data.PixelRepresentation = data.BitsStored - 1, int(pixels.dtype.kind == "i")
    is_big = syntax == ExplicitVRBigEndian
    order = ">" if is_big else "<"
    data.PixelData = pixels.astype(order + pixels.dtype.str[1:]).tobytes()
    data["PixelData"].VR = "OB" if pixels.dtype.itemsize == 1 else "OW"
    for name, value in more.items():
        setattr(data, name, value)
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = UID(syntax)
    data.file_meta.MediaStorageSOPClassUID, data.file_meta.MediaStorageSOPInstanceUID = data.SOPClassUID, UID("1.2.3")
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, data, enforce_file_format=True, implicit_vr=None, little_endian=not is_big)
    return stream.getvalue()


def altered(raw: bytes, script: str = AREA, **given: Any) -> pydicom.FileDataset:
    obj = parse(raw)
    assert run(script, obj, context(**given)) == ScriptOutcome(pixels_altered=True)
    return read_back(obj)


def grays(dtype: str = "u1", frames: int = 2) -> NDArray[Any]:
    return (np.arange(frames * ROWS * COLUMNS) + 50).reshape(frames, ROWS, COLUMNS).astype(dtype)


def colors() -> NDArray[Any]:
    return np.arange(2 * ROWS * COLUMNS * 3, dtype="u1").reshape(2, ROWS, COLUMNS, 3)


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "u8"])
@pytest.mark.parametrize(
    "syntax",
    [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian],
    ids=["explicit", "implicit", "big", "deflated"],
)
def test_gray_pixels_of_every_depth_and_syntax(dtype: str, syntax: str) -> None:
    pixels = grays(dtype)
    data = altered(image(pixels, syntax))
    expected = pixels.copy()
    expected[:, *INSIDE] = 7
    found = np.frombuffer(data.PixelData, (">" if syntax == ExplicitVRBigEndian else "<") + dtype)
    assert (found.reshape(pixels.shape) == expected).all()
    assert data.file_meta.TransferSyntaxUID == syntax


def test_8_bits_in_big_endian_words_are_swapped() -> None:
    pixels = grays()
    words = pixels.reshape(-1, 2)[:, ::-1].tobytes()
    obj = parse(image(pixels, ExplicitVRBigEndian))
    obj.data.set_value(0x7FE00010, "OW", words)
    run(AREA, obj)
    found = np.frombuffer(obj.data.value(0x7FE00010), "u1").reshape(-1, 2)[:, ::-1].reshape(pixels.shape)
    expected = pixels.copy()
    expected[:, *INSIDE] = 7
    assert (found == expected).all()


def test_colors_by_pixel_and_by_plane() -> None:
    pixels = colors()
    expected = pixels.copy()
    expected[:, *INSIDE] = (10, 20, 30)
    script = AREA.replace("v=7", "r=10,g=20, b = 30")
    assert (np.frombuffer(altered(image(pixels), script).PixelData, "u1") == expected.ravel()).all()
    by_plane = pixels.transpose(0, 3, 1, 2)
    data = altered(image(pixels, PixelData=by_plane.tobytes(), PlanarConfiguration=1), script)
    assert (np.frombuffer(data.PixelData, "u1") == expected.transpose(0, 3, 1, 2).ravel()).all()
    wide = image(pixels.astype("u2"))
    assert (np.frombuffer(altered(wide, script).PixelData, "<u2") == expected.ravel()).all()


def test_fills_are_converted_to_how_colors_are_stored() -> None:
    pixels = colors()
    for photometric, fill, stored in [
        ("YBR_FULL", "v=0", (0, 128, 128)),
        ("YBR_FULL", "r=255,g=0,b=0", (76, 85, 255)),
        ("YBR_FULL", "value=255", (255, 128, 128)),
        ("RGB", "red=1,green=2,blue=3", (1, 2, 3)),
    ]:
        data = altered(image(pixels, PhotometricInterpretation=photometric), AREA.replace("v=7", fill))
        found = np.frombuffer(data.PixelData, "u1").reshape(pixels.shape)
        assert {tuple(pixel) for pixel in found[0][INSIDE].reshape(-1, 3)} == {stored}
    for photometric, fill, value in [
        ("PALETTE COLOR", "v=3", 3),
        ("MONOCHROME1", "v=255", 255),
        ("MONOCHROME2", "r=255,g=0,b=0", 76),
    ]:
        data = altered(image(grays(), PhotometricInterpretation=photometric), AREA.replace("v=7", fill))
        assert set(np.frombuffer(data.PixelData, "u1").reshape(2, ROWS, COLUMNS)[1][INSIDE].ravel()) == {value}


def test_shared_colors_are_filled_in_pairs() -> None:
    raw = bytes(range(ROWS * COLUMNS * 2))
    data = altered(
        image(colors()[:1], PixelData=raw, PhotometricInterpretation="YBR_FULL_422"), AREA.replace("v=7", "v=255")
    )
    found = np.frombuffer(data.PixelData, "u1").reshape(ROWS, COLUMNS // 2, 4)
    expected = np.frombuffer(raw, "u1").reshape(found.shape).copy()
    expected[2:5, 0:2] = (255, 255, 128, 128)  # columns 0 to 3: the pairs that columns 1 to 3 are in
    assert (found == expected).all()


def test_frames_beyond_their_number_and_a_cut_one_are_filled() -> None:
    pixels = grays(frames=3)
    raw = pixels.tobytes()[: 2 * ROWS * COLUMNS + 3 * COLUMNS + 3]
    obj = parse(image(pixels[:1], NumberOfFrames=1, PixelData=raw + b"\0" * (len(raw) % 2)))
    run(AREA, obj)
    found = np.frombuffer(obj.data.value(0x7FE00010), "u1")[: len(raw)]
    expected = pixels.copy()
    expected[:, *INSIDE] = 7
    assert (found == expected.ravel()[: len(raw)]).all()


def test_float_pixels_are_filled() -> None:
    for keyword, dtype in (("FloatPixelData", "<f4"), ("DoubleFloatPixelData", "<f8")):
        raw = image(grays())
        values = grays(dtype)
        data = pydicom.dcmread(io.BytesIO(raw))
        del data.PixelData
        setattr(data, keyword, values.tobytes())
        data.BitsAllocated = values.dtype.itemsize * 8
        stream = io.BytesIO()
        data.save_as(stream)
        found = np.frombuffer(getattr(altered(stream.getvalue()), keyword), dtype).reshape(values.shape)
        expected = values.copy()
        expected[:, *INSIDE] = 7
        assert (found == expected).all()


def test_areas_are_clipped_and_named_in_full() -> None:
    pixels = grays()
    for text, inside in [
        ("l=-5,t=-5,r=2,b=1", np.s_[0:1, 0:2]),
        ("left=4, top=6, right=900, bottom=900", np.s_[6:8, 4:6]),
        ("r=4,l=1,b=5,t=2", INSIDE),
        ("l=4,t=5,r=1,b=2", INSIDE),
        ("l=1.5,t=2.2,r=3.1,b=4.5", INSIDE),
    ]:
        data = altered(image(pixels), AREA.replace("l=1, t=2, r=4, b=5", text))
        expected = pixels.copy()
        expected[:, *inside] = 7
        assert (np.frombuffer(data.PixelData, "u1") == expected.ravel()).all(), text


def test_nothing_happens_without_pixels_or_overlap() -> None:
    icon = pydicom.Dataset()
    icon.Rows = 1
    for raw, script in [
        (image(grays(), IconImageSequence=[icon]), AREA.replace("l=1", "l=6").replace("r=4", "r=9")),
        (image(grays(), IconImageSequence=[icon]), AREA.replace("t=2", "t=5")),
        (image(grays(), RLELossless, PixelData=encapsulate([b"xx"])), AREA.replace("l=1", "l=9").replace("r=4", "r=9")),
        (image(grays(), PixelData=None), AREA),
    ]:
        obj = parse(raw)
        if script == AREA:
            obj.data.remove(0x7FE00010)
        assert run(script, obj) == ScriptOutcome()
        assert not obj.data.changes or script == AREA


def test_icons_and_overlays_in_unused_bits_go() -> None:
    icon = pydicom.Dataset()
    icon.Rows = 1
    nested = pydicom.Dataset()
    nested.IconImageSequence = [icon]
    nested.PixelData = b"xx"
    nested["PixelData"].VR = "OW"
    pixels = grays("u2")
    overlay = {"OverlayRows": ROWS, "OverlayColumns": COLUMNS, "OverlayBitsAllocated": 16, "OverlayBitPosition": 12}
    raw = image(pixels | 0xF000, BitsStored=12, HighBit=11, IconImageSequence=[icon], ReferencedImageSequence=[nested])
    data = pydicom.dcmread(io.BytesIO(raw))
    for offset, (name, value) in zip((0x10, 0x11, 0x100, 0x102), overlay.items(), strict=True):
        assert name
        data.add_new(0x60000000 | offset, "US", value)
        data.add_new(0x60020000 | offset, "US", value)
    data.add_new(0x60023000, "OW", b"\0" * 6)  # a plane of its own, which stays
    stream = io.BytesIO()
    data.save_as(stream)
    found = altered(stream.getvalue())
    expected = pixels.copy()
    expected[:, *INSIDE] = 7
    assert (np.frombuffer(found.PixelData, "<u2") == expected.ravel()).all()
    assert 0x60000010 not in found
    assert 0x60023000 in found
    assert "IconImageSequence" not in found
    assert len(found.ReferencedImageSequence[0]) == 0


def test_signed_pixels_keep_their_sign_when_overlays_go() -> None:
    pixels = np.full((1, ROWS, COLUMNS), -5, "i2")
    with_overlay = (pixels & 0x0FFF) | 0x4000
    raw = image(with_overlay.astype("i2"), BitsStored=12, HighBit=11, PixelRepresentation=1)
    obj = parse(raw)
    obj.data.set_text(0x60000100, "16", "US")
    run(AREA, obj)
    expected = pixels.copy()
    expected[:, *INSIDE] = 7
    assert (np.frombuffer(obj.data.value(0x7FE00010), "<i2") == expected.ravel()).all()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"BitsAllocated": 1, "BitsStored": 1}, "no whole bytes"),
        ({"BitsAllocated": 12}, "no whole bytes"),
        ({"Rows": 0}, "no rows and columns"),
        ({"Columns": None}, "no rows and columns"),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "YBR_PARTIAL_420"}, "colors"),
        ({"SamplesPerPixel": 4, "PhotometricInterpretation": "CMYK"}, "colors"),
        ({"SamplesPerPixel": 1, "PhotometricInterpretation": "RGB"}, "colors"),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "YBR_FULL_422", "PlanarConfiguration": 1}, "shared"),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "YBR_FULL_422", "Columns": 5}, "shared"),
    ],
)
def test_what_can_not_be_altered_fails(more: dict[str, Any], words: str) -> None:
    with pytest.raises(PixelsUnalterable, match=words):
        run(AREA, parse(image(grays(), **more)))


def test_pixels_of_another_size_or_form_than_the_header_says_fail() -> None:
    for raw in (
        image(grays(), NumberOfFrames=3),
        image(grays(), BitsAllocated=16),
        image(colors()[:1], PhotometricInterpretation="YBR_FULL_422"),
    ):
        with pytest.raises(PixelsUnalterable, match="size"):
            run(AREA, parse(raw))
    encapsulated = image(grays(), RLELossless, PixelData=encapsulate([b"xx", b"yy"]))
    syntax = RLELossless.encode()
    with pytest.raises(PixelsUnalterable, match="not stored as the transfer syntax says"):
        run(AREA, parse(encapsulated.replace(syntax, ExplicitVRLittleEndian.encode() + bytes(len(syntax) - 19))))


def test_shapes_and_fills_that_are_none_fail_with_or_without_pixels() -> None:
    for shape, place in [
        ("ellipse", "l=1,t=1,r=2,b=2"),
        ("rectangle", ""),
        ("rectangle", "l=1,t=1,r=2"),
        ("rectangle", "l=1,t=1,r=2,b=x"),
        ("rectangle", "l=1,t=1,r=2,b=2,l=3"),
        ("rectangle", "l=1,t=1,r=2,z=2"),
    ]:
        with pytest.raises(AreaError):
            read_area(shape, place)
    for kind, value in [
        ("hatched", "v=0"),
        ("solid", ""),
        ("solid", "v=256"),
        ("solid", "v=-1"),
        ("solid", "v=1.5"),
        ("solid", "r=1,g=1"),
        ("solid", "v=1,r=1,g=1,b=1"),
    ]:
        with pytest.raises(AreaError):
            read_fill(kind, value)
    assert read_fill(" solid ", " v = 9 ") == Fill(9, 9, 9)
    with pytest.raises(ScriptFailed, match="line 2"):
        run(AREA.replace("solid", "hatched"), parse(image(grays())))


def test_several_areas_are_filled_in_their_order() -> None:
    pixels = grays()
    data = altered(image(pixels), AREA + AREA.replace("t=2", "t=4").replace("v=7", "v=9"))
    expected = pixels.copy()
    expected[:, *INSIDE] = 7
    expected[:, 4:5, 1:4] = 9
    assert (data.pixel_array == expected).all()


def test_an_odd_number_of_bytes_is_padded_behind_what_is_filled() -> None:
    write = Writer(big=True)
    for vr in ("OB", "OW"):
        size = {0x00280010: ("US", 5), 0x00280011: ("US", 3), 0x00280100: ("US", 8)}
        raw = (
            make_object(size, syntax=ExplicitVRBigEndian, pixels=None)
            + write.element(0x7FE00010, vr, bytes(range(15)), length=15)[: -1 if vr == "OB" else None]
        )
        obj = parse(raw if vr == "OB" else raw[:-1])
        run('alterPixels["rectangle", "l=0, t=4, r=3, b=5", "solid", "v=255"]', obj)
        found = written(obj)
        words = bytes(range(12)) + b"\xff\xff\xff" if vr == "OB" else bytes(range(12)) + b"\xff" * 2 + b"\x0e"
        assert found.endswith(words + b"\0")
        assert len(found) == len(make_object(size, syntax=ExplicitVRBigEndian, pixels=bytes(16)))


def test_pixels_of_a_large_object_are_edited_as_they_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more of them than a piece is asked for at once, and nothing before they are written."""
    pixels = grays("u2", frames=40)
    raw, reads = image(pixels, ImplicitVRLittleEndian), [0]
    head = raw[: raw.rindex(b"\xe0\x7f\x10\0") + 8]

    def read(start: int, end: int) -> bytes:
        reads.append(end - start)
        return raw[start:end]

    obj = parse(head, len(raw), read)
    run(AREA, obj)
    reads.clear()
    first, edited = encode(obj)
    assert isinstance(edited, EditedPixels)
    verify(obj, [first, edited])
    assert not reads
    monkeypatch.setattr(data_set, "_PIECE", 1_000)
    expected = pixels.copy()
    expected[:, *INSIDE] = 7
    for _ in range(2):
        assert bytes(edited) == expected.tobytes()
    assert max(reads) == 1_000
    assert obj.data.value(0x7FE00010) == expected.tobytes()
    obj.data.remove(0x7FE00010)
    assert len(encode(obj)) == 1


# Compressed


def test_compressed_pixels_are_decoded_filled_and_stored_native() -> None:
    pixels = grays()
    raw = image(grays(), RLELossless, PixelData=encapsulate([b"xx", b"yy"]), ExtendedOffsetTable=b"\0" * 16)
    seen: list[DicomObject] = []

    def decode(obj: DicomObject) -> DecodedPixels:
        seen.append(obj)
        return DecodedPixels(data=pixels.tobytes(), bits_allocated=8, samples=1, photometric="MONOCHROME2")

    data = altered(raw, AREA + AREA.replace("t=2", "t=0"), decode_pixels=decode)
    expected = pixels.copy()
    expected[:, 0:5, 1:4] = 7
    assert (data.pixel_array == expected).all()
    assert data.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert "ExtendedOffsetTable" not in data
    assert "LossyImageCompression" not in data
    assert len(seen) == 1


def test_the_time_of_a_decoder_is_not_that_of_the_script() -> None:
    pixels, now = grays(), [0.0]

    def decode(_obj: DicomObject) -> DecodedPixels:
        now[0] += 60
        return DecodedPixels(data=pixels.tobytes(), bits_allocated=8, samples=1, photometric="MONOCHROME2")

    raw = image(pixels, RLELossless, PixelData=encapsulate([b"xx", b"yy"]))
    assert run(AREA, parse(raw), context(decode_pixels=decode, clock=lambda: now[0])).pixels_altered


def test_lossy_history_is_kept_or_told() -> None:
    pixels = colors()

    def decode(_obj: DicomObject) -> DecodedPixels:
        return DecodedPixels(data=pixels.tobytes(), bits_allocated=8, samples=3, photometric="RGB")

    def compressed(**more: Any) -> bytes:
        return image(
            pixels,
            JPEGBaseline8Bit,
            PixelData=encapsulate([b"xx"] * 2),
            PhotometricInterpretation="YBR_FULL_422",
            **more,
        )

    data = altered(compressed(), decode_pixels=decode)
    assert (data.LossyImageCompression, data.LossyImageCompressionMethod) == ("01", "ISO_10918_1")
    assert (data.PhotometricInterpretation, data.PlanarConfiguration) == ("RGB", 0)
    assert tuple(data.pixel_array[1][INSIDE][0][0]) == (7, 7, 7)
    history = {
        "LossyImageCompression": "01",
        "LossyImageCompressionRatio": "12.5",
        "LossyImageCompressionMethod": "ISO_15444_1",
    }
    data = altered(compressed(**history), decode_pixels=decode)
    assert {name: str(data[name].value) for name in history} == history


def test_what_can_not_be_decoded_fails() -> None:
    raw = image(grays(), RLELossless, PixelData=encapsulate([b"xx", b"yy"]))
    short = DecodedPixels(data=b"x" * 10, bits_allocated=8, samples=1, photometric="MONOCHROME2")
    shared = DecodedPixels(data=bytes(999), bits_allocated=8, samples=3, photometric="YBR_FULL_422")
    for decode in (None, lambda _obj: None, lambda _obj: short, lambda _obj: shared):
        with pytest.raises(PixelsUnalterable, match="line 2: The pixels can't be altered"):
            run(AREA, parse(raw), context(decode_pixels=decode))
