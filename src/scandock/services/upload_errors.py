"""What may be wrong with an upload, by whatever door: codes, statuses, sentences, remedies."""

from __future__ import annotations

from scandock.model.errors import Coded, CodedUsage, Fault

# -- more than there may be --------------------------------------------------------------------------------------------


class UploadTooLarge(CodedUsage):
    """Base of the errors about the bytes of one upload."""

    CODE = "upload_too_large"
    STATUS = 413
    MEANING = "The upload has, or says that it will have, more bytes than one may have (`SCANDOCK_MAX_UPLOAD_BYTES`)."


class SizeTooLarge(UploadTooLarge):
    SENTENCE = "The upload has {size:,} bytes; one may have {max_bytes}."
    REMEDY = "Send it in parts, or ask an administrator of this server to raise the limit."

    def __init__(self, size: int, max_bytes: str) -> None:
        self._fill({"size": size, "max_bytes": max_bytes})


class BytesTooMany(UploadTooLarge):
    SENTENCE = "The upload has more than the {max_bytes:,} bytes that it may have."
    REMEDY = "Send it in parts, or ask an administrator of this server to raise the limit."

    def __init__(self, max_bytes: int) -> None:
        self._fill({"max_bytes": max_bytes})


class FolderTooLarge(UploadTooLarge):
    SENTENCE = "The folder has more bytes than one upload may have."
    REMEDY = "Import it in parts."


class UploadsTooMany(CodedUsage):
    CODE = "uploads_too_many"
    STATUS = 429
    MEANING = "As many of your uploads are unfinished as one account may have."
    SENTENCE = "{count} of your uploads are under way, which is as many as one account may have."
    REMEDY = (
        "Wait until one of them is done, or give one up: GET /api/v1/uploads lists them,"
        " DELETE /api/v1/uploads/{{id}} gives up."
    )

    def __init__(self, count: int) -> None:
        self._fill({"count": count})


# -- less than there should be -----------------------------------------------------------------------------------------


class UploadCut(CodedUsage):
    CODE = "upload_cut"
    MEANING = "The body ended before its stated length."
    SENTENCE = "The upload ended before its stated length."
    REMEDY = "Send it again."


class UploadStalled(CodedUsage):
    """Base of the errors about clients that send nothing."""

    CODE = "upload_stalled"
    STATUS = 408
    MEANING = "The client sent nothing for too long."
    SENTENCE = "Nothing came for {seconds:.0f} seconds."

    def __init__(self, seconds: float) -> None:
        self._fill({"seconds": seconds})


class BodyStalled(UploadStalled):
    REMEDY = "Send it again, or go on."


class FormStalled(UploadStalled):
    REMEDY = "Send it again."


# -- ended by others ---------------------------------------------------------------------------------------------------


class UploadStopped(CodedUsage):
    """Base of the errors about uploads that were ended while they came in."""

    CODE = "upload_stopped"
    STATUS = 410
    MEANING = "The upload was cancelled or given up while it came in."


class CancelledMeanwhile(UploadStopped):
    SENTENCE = "The upload was cancelled meanwhile."
    REMEDY = "Send it again if that was wrong."


class GivenUpMeanwhile(UploadStopped):
    SENTENCE = "The upload was given up meanwhile."
    REMEDY = "Begin it anew if that was wrong."


class CancelledBefore(UploadStopped):
    SENTENCE = "The upload was cancelled."
    REMEDY = "Begin it anew."


class DeletedMeanwhile(UploadStopped):
    SENTENCE = "The import {upload_id} was deleted meanwhile."
    REMEDY = "What it stored stays."

    def __init__(self, upload_id: str) -> None:
        self._fill({"upload_id": upload_id})


class FolderCancelled(UploadStopped):
    SENTENCE = "The import was cancelled meanwhile."
    REMEDY = "Ask for it again if need be."


class FolderStopped(UploadStopped):
    SENTENCE = "The server was stopped while it read the folder."
    REMEDY = "Ask for it again."


class UploadGivenUp(Coded, Fault):
    CODE = "upload_given_up"
    MEANING = (
        "The host that an upload in one request came to could not say for 30 s that it lives, as where it was cut off"
        " from the catalog, and another one has cleared the upload away: send it again."
    )
    SENTENCE = "The server gave this upload up while it came in, and kept nothing of it."
    REMEDY = "Send it again."


class UploadExpired(CodedUsage):
    CODE = "upload_expired"
    STATUS = 410
    MEANING = "Nobody went on with the resumable upload in time; it was removed."
    SENTENCE = "The upload was not finished in time, and is gone."
    REMEDY = "Begin it anew."


class UploadLost(CodedUsage):
    CODE = "upload_lost"
    STATUS = 410
    MEANING = (
        "Bytes of the resumable upload that had come are not in the store any more: `incoming` was removed, or the data"
        " folder is a copy whose catalog is newer than its files. Begin it anew; `scandock upload` does that by itself,"
        " the page of uploads offers it."
    )
    SENTENCE = "{received:,} bytes of the upload had come, and are not in the store any more."
    REMEDY = "Begin it anew."

    def __init__(self, received: int) -> None:
        self._fill({"received": received})


# -- idempotency keys --------------------------------------------------------------------------------------------------


class UploadRunning(CodedUsage):
    CODE = "upload_running"
    STATUS = 409
    MEANING = "The upload of this idempotency key is still coming in."
    SENTENCE = "The upload of this idempotency key is still being received."
    REMEDY = "Wait for its end."


class KeyReused(CodedUsage):
    CODE = "idempotency_key_reused"
    STATUS = 409
    MEANING = "The key was used for an upload with other options, another name or other bytes."
    SENTENCE = "This idempotency key was used for another upload."
    REMEDY = "Use a new key for each upload, and the same one only to send the same again."


# -- multipart bodies --------------------------------------------------------------------------------------------------


class MultipartDamaged(CodedUsage):
    """Base of the errors about what can't be read as a multipart body."""

    CODE = "multipart_damaged"
    MEANING = "The multipart body can't be read, or was cut."
    REMEDY = "Send it as multipart/form-data, or the archive as the body itself."


class PartsTooMany(MultipartDamaged):
    SENTENCE = "The multipart body has more than {max_parts} parts."
    REMEDY = "Send fewer: an archive has room for many files, and other files go in several requests."

    def __init__(self, max_parts: int) -> None:
        self._fill({"max_parts": max_parts})


class MultipartUnreadable(MultipartDamaged):
    SENTENCE = "The multipart body can't be read."


class DispositionMissing(MultipartDamaged):
    SENTENCE = "A part of the multipart body says nothing of what it is (Content-Disposition: form-data)."


class BoundaryMissing(MultipartDamaged):
    SENTENCE = "The multipart body states no boundary."


class MultipartCut(MultipartDamaged):
    SENTENCE = "The multipart body ends before its last boundary."


class FileFormCut(MultipartDamaged):
    SENTENCE = "The multipart body ends before its last boundary."
    REMEDY = "Send it again."


class MultipartFiles(CodedUsage):
    """Base of the errors about several files in one body."""

    CODE = "multipart_files"
    MEANING = "The multipart body has more than one file."


class ArchivesSeveral(MultipartFiles):
    SENTENCE = "The multipart body has more than one file."
    REMEDY = "Send one archive each."


class NamedFilesSeveral(MultipartFiles):
    SENTENCE = "The form has several files, the address names one."


class FileAndSource(MultipartFiles):
    SENTENCE = "The form has a file, and names another by src."
    REMEDY = "Send one of both."


class MultipartNoFile(CodedUsage):
    """Base of the errors about bodies without a file."""

    CODE = "multipart_no_file"
    MEANING = "The multipart body has no file."
    SENTENCE = "The multipart body has no file."


class ArchiveMissing(MultipartNoFile):
    REMEDY = "Send the archive as a file part."


class FilePartMissing(MultipartNoFile):
    REMEDY = "Send the file as a part."


class ResourceFileMissing(MultipartNoFile):
    REMEDY = "Send the file as a part of it."


class FieldTooLarge(CodedUsage):
    CODE = "field_too_large"
    MEANING = "A field beside the archive has more than 16 MiB; a mapping is told `body_too_large`."
    SENTENCE = "The field {name!r} has more than {max_bytes:,} bytes."
    REMEDY = "Send less in it; an archive is a part with a filename."

    def __init__(self, name: str, max_bytes: int) -> None:
        self._fill({"name": name, "max_bytes": max_bytes})
