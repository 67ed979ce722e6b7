"""What may be wrong with objects that are stored by DICOMweb (STOW-RS): codes, statuses, sentences, remedies."""

from __future__ import annotations

from scandock.model.errors import CodedUsage
from scandock.services.upload_errors import MultipartDamaged

_REMEDY = 'Send the objects as multipart/related; type="application/dicom", one in each part.'


class RelatedUnreadable(MultipartDamaged):
    SENTENCE = "The multipart/related body can't be read."
    REMEDY = _REMEDY


class RelatedCut(MultipartDamaged):
    SENTENCE = "The multipart/related body ends before its last boundary."
    REMEDY = "Send the objects again; nothing of this request is stored."


class RelatedBoundaryMissing(MultipartDamaged):
    SENTENCE = "The multipart/related body states no boundary, or one of more than 256 characters."
    REMEDY = _REMEDY


class ObjectsTooMany(MultipartDamaged):
    SENTENCE = "The request has more than {max_objects:,} objects."
    REMEDY = "Send them in several requests."

    def __init__(self, max_objects: int) -> None:
        self._fill({"max_objects": max_objects})


class ObjectsUnreadable(CodedUsage):
    """Base of the errors about requests to store in which there is no DICOM object."""

    CODE = "objects_unreadable"
    MEANING = "STOW-RS: no part of the request is a DICOM object with its three UIDs. Nothing is stored."


class NoPartReadable(ObjectsUnreadable):
    SENTENCE = "None of the {count:,} parts is a DICOM object with its three UIDs."
    REMEDY = "Send DICOM objects as they are in a file (PS3.10)."

    def __init__(self, count: int) -> None:
        self._fill({"count": count})


class NoPart(ObjectsUnreadable):
    SENTENCE = "The request has no part."
    REMEDY = _REMEDY


class ContentCodingUnsupported(CodedUsage):
    CODE = "content_coding"
    STATUS = 415
    MEANING = (
        "STOW-RS: the body as a whole is compressed (Content-Encoding). Send it as it is: the header"
        " Accept-Encoding says so."
    )
    SENTENCE = "Objects can't be stored from a body that is encoded as {coding}."
    REMEDY = "Send it without Content-Encoding; objects may be compressed by their own transfer syntaxes."
    accept_encoding = "identity"

    def __init__(self, coding: str) -> None:
        self._fill({"coding": coding[:60]})


class ObjectTypeUnsupported(CodedUsage):
    CODE = "object_type"
    STATUS = 415
    MEANING = (
        "STOW-RS: the body is neither multipart/related of application/dicom nor application/dicom. Metadata as JSON or"
        " XML with bulk data beside it is not taken."
    )
    SENTENCE = "Objects can't be stored from {media_type}."
    REMEDY = _REMEDY

    def __init__(self, media_type: str) -> None:
        self._fill({"media_type": media_type})
