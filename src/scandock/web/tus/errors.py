"""What may be off with a request of tus 1.0.0: codes, statuses, sentences, remedies."""

from __future__ import annotations

from typing import ClassVar

from scandock.model.errors import CodedUsage

_CLIENT = "Use a client of tus 1.0."


class VersionUnknown(CodedUsage):
    CODE = "tus_version"
    STATUS = 412
    MEANING = "The request does not speak tus 1.0.0."
    SENTENCE = "The request does not say Tus-Resumable: 1.0.0."
    REMEDY = _CLIENT


class TypeDiffers(CodedUsage):
    CODE = "tus_type"
    STATUS = 415
    MEANING = "The body is not application/offset+octet-stream."
    SENTENCE = "The body's Content-Type is not {body}."
    REMEDY = _CLIENT

    def __init__(self, body: str) -> None:
        self._fill({"body": body})


# -- headers -----------------------------------------------------------------------------------------------------------


class HeaderInvalid(CodedUsage):
    """Base of the errors about one header."""

    CODE = "tus_header"
    MEANING = "A header of tus is missing, or can't be read."
    REMEDY: ClassVar[str] = _CLIENT


class NumberInvalid(HeaderInvalid):
    SENTENCE = "{header} is missing, or no whole number."

    def __init__(self, header: str) -> None:
        self._fill({"header": header})


class LengthMissing(HeaderInvalid):
    SENTENCE = "An upload's length has to be known when it is made."
    REMEDY = "Send Upload-Length."


class AlgorithmUnknown(HeaderInvalid):
    SENTENCE = "Upload-Checksum names an unknown algorithm."
    REMEDY = "Known are {algorithms}."

    def __init__(self, algorithms: str) -> None:
        self._fill({"algorithms": algorithms})


class ChecksumNotBase64(HeaderInvalid):
    SENTENCE = "Upload-Checksum is no base64."


class ChecksumEmpty(HeaderInvalid):
    SENTENCE = "Upload-Checksum has no value behind its algorithm."


class OverrideMissing(HeaderInvalid):
    SENTENCE = "POST to an upload needs X-HTTP-Method-Override: PATCH."
    REMEDY = "Use PATCH."


# -- metadata ----------------------------------------------------------------------------------------------------------


class MetadataInvalid(CodedUsage):
    """Base of the errors about `Upload-Metadata`."""

    CODE = "tus_metadata"
    MEANING = "Upload-Metadata can't be read, or a name in it is nearly one of ours."


class MetadataNotBase64(MetadataInvalid):
    SENTENCE = "The value of {name!r} in Upload-Metadata is no text in base64."
    REMEDY = "Encode it."

    def __init__(self, name: str) -> None:
        self._fill({"name": name})


class MetadataTwice(MetadataInvalid):
    SENTENCE = "Upload-Metadata names {name!r} twice."
    REMEDY = "Name it once."

    def __init__(self, name: str) -> None:
        self._fill({"name": name})


class MetadataNearlyKnown(MetadataInvalid):
    SENTENCE = "Upload-Metadata names {name!r}, which means nothing here; {close_match} was probably meant."
    REMEDY = "Known are {known_names}."

    def __init__(self, name: str, close_match: str, known_names: str) -> None:
        self._fill({"name": name, "close_match": close_match, "known_names": known_names})


# -- bytes -------------------------------------------------------------------------------------------------------------


class OffsetDiffers(CodedUsage):
    CODE = "tus_offset"
    STATUS = 409
    MEANING = "The upload is at another offset than the request says."
    SENTENCE = "The upload has {received:,} bytes, and is not at {offset:,}."
    REMEDY = "Ask for the offset by HEAD and go on from there."

    def __init__(self, received: int, offset: int) -> None:
        self._fill({"received": received, "offset": offset})


class BytesTooMany(CodedUsage):
    """Base of the errors about more bytes than an upload has."""

    CODE = "tus_too_long"
    MEANING = "More bytes are sent than the upload was to have."


class LengthExceeded(BytesTooMany):
    SENTENCE = "The upload was to have {size:,} bytes; more are sent."
    REMEDY = "Make a new upload."

    def __init__(self, size: int) -> None:
        self._fill({"size": size})


class BytesComplete(BytesTooMany):
    SENTENCE = "The upload has all its bytes already."
    REMEDY = "Ask for the import of the same id."


class ChecksumDiffers(CodedUsage):
    CODE = "tus_checksum"
    STATUS = 460
    MEANING = "The bytes do not have the checksum that was sent; none of them was kept."
    SENTENCE = "The bytes do not have the checksum that was sent."
    REMEDY = "Send them again."


class UploadLocked(CodedUsage):
    CODE = "tus_locked"
    STATUS = 423
    MEANING = "Another request is sending bytes of this upload."
    SENTENCE = "Another request is sending bytes of this upload."
    REMEDY = "Wait, then ask for the offset."
