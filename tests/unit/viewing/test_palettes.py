"""Big-endian files show the colours and greys of their little-endian twins."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian

from scandock.viewing.frame_sources import open_frames
from scandock.viewing.frames import Frame
from tests.unit.viewing.made import dataset, file_of

INDICES = np.arange(6 * 4, dtype=np.uint8).reshape(2, 3, 4) % 16
COLOURS = {name: (np.arange(16, dtype="<u2") * step + 0x1100) for name, step in
           (("Red", 0x0F01), ("Green", 0x0703), ("Blue", 0x0305))}  # fmt: skip


def words(little: bytes, *, big: bool) -> bytes:
    """The value of an OW element: two bytes a word, whatever the words stand for (PS3.5 6.2 and 7.3)."""
    return np.frombuffer(little, "<u2").astype(">u2").tobytes() if big else little


def shown(number: int, pixels: np.ndarray, *, big: bool, vr: str = "OW", **elements: Any) -> Frame:
    """A frame of a file in one byte order; `elements` of bytes are words as little-endian files have them."""
    syntax = ExplicitVRBigEndian if big else ExplicitVRLittleEndian
    swapped = {name: words(one, big=big) if isinstance(one, bytes) else one for name, one in elements.items()}
    made = dataset(pixels, syntax=syntax, **swapped)
    made.PixelData = words(pixels.tobytes(), big=big and vr == "OW")
    made["PixelData"].VR = vr
    return open_frames(io.BytesIO(file_of(made))).frame(number)


def palette(bits: int, data: dict[str, bytes], *, entries: int = 16, segmented: str = "") -> dict[str, Any]:
    made: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for name, value in data.items():
        made[f"{name}PaletteColorLookupTableDescriptor"] = [entries, 0, bits]
        made[f"{segmented}{name}PaletteColorLookupTableData"] = value
    return made


def sixteen() -> dict[str, Any]:
    return palette(16, {name: one.tobytes() for name, one in COLOURS.items()})


def eight() -> dict[str, Any]:
    return palette(8, {name: (one >> 8).astype(np.uint8).tobytes() for name, one in COLOURS.items()})


def segmented(bits: int) -> dict[str, Any]:
    """Each channel a discrete segment of four entries, then a linear one of twelve (PS3.3 C.7.9.2)."""
    data = {}
    for name, one in COLOURS.items():
        entries = [int(value) >> (16 - bits) for value in (*one[:4], one[15])]
        data[name] = np.array([0, 4, *entries[:4], 1, 12, entries[4]], "<u2" if bits == 16 else "u1").tobytes()
        data[name] += b"\0" * (len(data[name]) % 2)
    return palette(bits, data, segmented="Segmented")


@pytest.mark.parametrize("big", [False, True], ids=["little", "big"])
@pytest.mark.parametrize("made", [sixteen(), eight(), segmented(16), segmented(8)], ids=["16", "8", "s16", "s8"])
@pytest.mark.parametrize("vr", ["OB", "OW"])
def test_a_palette_gives_its_colours_in_either_byte_order(made, big, vr):
    frame = shown(1, INDICES, big=big, vr=vr, **made)
    expected = np.stack([one[INDICES[1]] >> 8 for one in COLOURS.values()], axis=-1)
    assert frame.colour
    assert frame.pixels.dtype == np.uint8
    # A linear segment is rounded to its own steps.
    off = 1 if any(name.startswith("Segmented") for name in made) else 0
    assert np.abs(frame.pixels.astype(int) - expected).max() <= off


def test_indices_of_16_bits_go_through_a_palette_too():
    wide = INDICES.astype("<u2")
    little, big_endian = [shown(1, wide, big=big, **sixteen()).pixels for big in (False, True)]
    assert little.max() > 200
    assert np.array_equal(little, big_endian)


@pytest.mark.parametrize("kind", ["<u2", "<i2"])
def test_greys_of_16_bits_are_the_same_in_either_byte_order(kind):
    grey = (np.arange(24).reshape(4, 6) * 257 - 1000 * (kind == "<i2")).astype(kind)
    frame = shown(0, grey, big=True, RescaleSlope=2, RescaleIntercept=-7, WindowCenter=300, WindowWidth=4000)
    assert np.array_equal(frame.pixels, grey)
    twin = shown(0, grey, big=False, RescaleSlope=2, RescaleIntercept=-7, WindowCenter=300, WindowWidth=4000)
    assert (frame.slope, frame.intercept, frame.windows) == (twin.slope, twin.intercept, twin.windows)


def test_a_table_of_values_is_the_same_in_either_byte_order():
    table = Dataset()
    table.LUTDescriptor, table.ModalityLUTType = [24, 0, 16], "HU"
    greys = []
    for big in (False, True):
        table.LUTData = words((np.arange(24, dtype="<u2") * 517).tobytes(), big=big)
        table["LUTData"].VR = "OW"
        frame = shown(0, np.arange(24, dtype="<u2").reshape(4, 6), big=big, ModalityLUTSequence=[table])
        greys.append(frame.pixels)
    assert np.array_equal(greys[0], np.arange(24).reshape(4, 6) * 517)
    assert np.array_equal(greys[0], greys[1])
