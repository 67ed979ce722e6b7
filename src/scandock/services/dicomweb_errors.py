"""Why a part of a study is not answered by DICOMweb."""

from __future__ import annotations

from scandock.model.errors import Coded, CodedUsage, Fault, Usage, Worded
from scandock.services.decoding import BUSY


class DecodersOccupied(Coded, Fault):
    """Too much is being decoded."""

    CODE = "decoders_busy"
    MEANING = "Too many images are being decoded just now (DICOMweb)."
    SENTENCE = BUSY
    REMEDY = "Ask again in a moment."


class FrameUnknown(CodedUsage):
    CODE = "frame_unknown"
    STATUS = 404
    MEANING = "The object has no such frame; frames are counted from 1 (DICOMweb)."
    SENTENCE = "The object has {count} frames; there is no frame {number}."
    REMEDY = "Ask for one from 1 on."

    def __init__(self, count: int, number: str) -> None:
        self._fill({"count": count, "number": number})


class PartUnknown(Worded, Usage):
    CODE = "part_unknown"
    STATUS = 404
    MEANING = "The object has no such element or part: no bulk data, no pixels, or it is no image (DICOMweb)."


class NotConvertible(Worded, Usage):
    CODE = "not_convertible"
    STATUS = 406
    MEANING = "The object can't be converted to the transfer syntax or the picture that was asked for (DICOMweb)."
