"""Fields of ECAT 7 headers, by offset, and the names of the scan parameters they give (xnat-behaviour.md 3.4)."""

from __future__ import annotations

import math
import re
import struct
from typing import Final, NamedTuple

from scandock.formats.dicom_text import shortest_float

_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


class Field(NamedTuple):
    """One field: where it stands, how it is written (struct letter, or `Ns` for a text), and its parameter's name."""

    offset: int
    kind: str
    name: str


def _fields(table: str) -> tuple[Field, ...]:
    return tuple(Field(int(at), kind, name) for at, kind, name in (line.split() for line in table.strip().splitlines()))


MAIN_PARAMETERS: Final = _fields("""
14 32s originalFileName
48 h systemType
50 h fileType
134 f transaxialFOV
144 f ecatCalibrationFactor
328 h acqType
330 h orientation
332 20s facility
352 H numPlanes
356 H numGates
364 f bedPosition
424 f planeSeparation
446 f binSize
""")
"""Scan parameters from the main header; bedPosition is element 0 of its fifteen."""

IMAGE_PARAMETERS: Final = _fields("""
0 h dataType
2 h dimensions.num
4 h dimensions.x
6 h dimensions.y
8 h dimensions.z
10 f offset.x
14 f offset.y
18 f offset.z
22 f reconZoom
34 f pixelSize.x
38 f pixelSize.y
42 f pixelSize.z
54 h filterCode
56 f resolution.x
60 f resolution.y
64 f resolution.z
68 f numRElements
72 f numAngles
76 f ZRotationAngle
84 i processingCode
88 i gateDuration
92 i rWaveOffset
96 i numAcceptedBeats
100 f filterCutoff
122 40s annotation
162 f MT_1_1
166 f MT_1_2
170 f MT_1_3
174 f MT_2_1
178 f MT_2_2
182 f MT_2_3
186 f MT_3_1
190 f MT_3_2
194 f MT_3_3
198 f RFilter.cutoff
202 f RFilter.resolution
206 h RFilter.code
208 h RFilter.order
210 f ZFilter.cutoff
214 f ZFilter.resolution
218 h ZFilter.code
220 h ZFilter.order
222 f MT_1_4
226 f MT_2_4
230 f MT_3_4
234 h scatterType
236 h reconType
238 h reconViews
""")
"""Scan parameters from the subheader of the first frame of an image file."""

VOXEL_BYTES: Final = {1: 1, 2: 2, 3: 4, 4: 4, 5: 4, 6: 2, 7: 4}
"""Bytes of a voxel by DATA_TYPE."""
FRAME_DURATION_AT: Final = 46
FRAME_START_AT: Final = 50
"""Milliseconds, int32, in an image subheader."""


class Record:
    """512 bytes of an ECAT file in its byte order."""

    __slots__ = ("order", "raw")

    def __init__(self, raw: bytes, order: str) -> None:
        self.raw = raw
        self.order = order

    def number(self, offset: int, kind: str) -> int:
        """The integer at `offset`; `kind` is struct's letter."""
        return int(struct.unpack_from(self.order + kind, self.raw, offset)[0])

    def text(self, offset: int, length: int) -> str:
        """The text at `offset`, to its first NUL, Latin-1, without controls and outer blanks."""
        raw = self.raw[offset : offset + length].split(b"\0", 1)[0]
        return _CONTROLS.sub(" ", raw.decode("latin-1")).strip()

    def written(self, field: Field) -> str:
        """A field as text: floats with as few digits as tell them apart; "" for what is no number."""
        if field.kind.endswith("s"):
            return self.text(field.offset, int(field.kind[:-1]))
        value = struct.unpack_from(self.order + field.kind, self.raw, field.offset)[0]
        if field.kind != "f":
            return str(value)
        return shortest_float(value) if math.isfinite(value) else ""

    def parameters(self, fields: tuple[Field, ...]) -> dict[str, str]:
        """Name to text of each of `fields` that says something."""
        return {field.name: text for field in fields if (text := self.written(field))}
