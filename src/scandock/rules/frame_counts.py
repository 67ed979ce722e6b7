"""How many images a stored file counts for: its frames, where it consists of pixels (xnat-behaviour.md 4.5, 3.4)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from scandock.model.series import EcatFacts
from scandock.model.tags import NUMBERS
from scandock.rules.ecat_attributes import IMAGE_FILE_TYPES
from scandock.rules.sop_classes import has_pixels

NUMBER_OF_FRAMES: Final = NUMBERS["NumberOfFrames"]
MODALITY: Final = NUMBERS["Modality"]
_MOST: Final = 2**31 - 1
"""What the catalog's column holds."""


def count_object_frames(sop_class: str, values: Mapping[int, bytes]) -> int:
    """Frames of a DICOM object by the raw values of its header: 1 where it says none that can be, 0 without pixels."""
    return _count_frames(sop_class, values.get(MODALITY, b""), values.get(NUMBER_OF_FRAMES, b"1"))


@lru_cache(maxsize=16)  # objects that come one after the other say the same; a value may have 16 kB
def _count_frames(sop_class: str, modality: bytes, frames: bytes) -> int:
    if not has_pixels(sop_class, _text(modality)):
        return 0
    try:
        count = int(frames.strip(b"\0 ").split(b"\\")[0] or 1)
    except ValueError:
        count = 1
    return min(max(1, count), _MOST)


def count_ecat_frames(facts: EcatFacts) -> int:
    """Frames of an ECAT file as its main header says, else as its directory has them; 0 for raw data."""
    if facts.file_type not in IMAGE_FILE_TYPES:
        return 0
    return facts.num_frames or len(facts.frames) or 1


def _text(raw: bytes) -> str:
    return raw.decode("latin-1").split("\\")[0].strip("\0 ")
