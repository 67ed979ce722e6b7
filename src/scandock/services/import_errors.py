"""What can't be done to an import, or asked of its receipt, as it stands: codes, statuses, sentences, remedies."""

from __future__ import annotations

from scandock.access.principal import Hidden
from scandock.model.errors import CodedUsage


class ImportRunning(CodedUsage):
    """Base of the errors about what has to wait for an import's end."""

    CODE = "import_running"
    STATUS = 409
    MEANING = "The import has not ended: cancel it first."


class DeletedTooEarly(ImportRunning):
    SENTENCE = "The import has not ended."
    REMEDY = "Cancel it first."


class StudyComing(ImportRunning):
    SENTENCE = "A DICOM receiver takes this study now."
    REMEDY = "Close it, and its import begins; or discard it."


class StudyTaken(ImportRunning):
    SENTENCE = "A DICOM receiver took this study: its sender was told that it is stored, and does not send it again."
    REMEDY = "Discard the study where it is not wanted."


class DiscardedTooLate(ImportRunning):
    SENTENCE = "The upload has all its bytes: its import waits or runs."
    REMEDY = "Cancel that."


class MappedTooLate(ImportRunning):
    SENTENCE = "The upload has all its bytes: its import waits or runs."
    REMEDY = "Cancel that, or wait for it."


class ImportPlacing(CodedUsage):
    CODE = "import_placing"
    STATUS = 409
    MEANING = "The import is being placed, and can't be cancelled any more."
    SENTENCE = "The import is being placed and can't be cancelled any more."
    REMEDY = "Wait for its end."


class ImportEnded(CodedUsage):
    CODE = "import_ended"
    STATUS = 409
    MEANING = "The import has ended already."
    SENTENCE = "The import has ended."


# -- tried again -------------------------------------------------------------------------------------------------------


class ImportNotFailed(CodedUsage):
    """Base of the errors about trying again what did not fail."""

    CODE = "import_not_failed"
    STATUS = 409
    MEANING = "Only an import that failed for a fault of the machine can be tried again."


class UploadIncomplete(ImportNotFailed):
    SENTENCE = "The upload has not come whole."
    REMEDY = "Send the rest of it."


class ImportWaits(ImportNotFailed):
    SENTENCE = "The import waits, and begins by itself."
    REMEDY = "Wait for its outcome."


class ImportRuns(ImportNotFailed):
    SENTENCE = "The import has not ended: it runs."
    REMEDY = "Wait for its outcome."


class ArchiveRemoved(CodedUsage):
    CODE = "archive_removed"
    STATUS = 409
    MEANING = (
        "The import failed so long ago that its archive was removed, as the privacy policy asks for; it can't be tried"
        " again."
    )
    SENTENCE = "The archive of this import was removed: the privacy policy keeps that of a failed one for some hours."
    REMEDY = "Upload the archive again."


class ImportEndedWell(ImportNotFailed):
    SENTENCE = "Only an import that failed for a fault of the machine can be tried again."
    REMEDY = "Upload the archive again."


# -- receipts ----------------------------------------------------------------------------------------------------------


class ReceiptMissing(CodedUsage):
    CODE = "receipt_none"
    STATUS = 404
    MEANING = "The import has no receipt: it has not ended, failed or was cancelled."
    SENTENCE = "This import has no receipt."
    REMEDY = "Receipts are written when an import ends."


class VerdictUnknown(CodedUsage):
    CODE = "verdict_unknown"
    MEANING = "That is no verdict of a receipt."
    SENTENCE = "{names} is no verdict."
    REMEDY = "Verdicts are {verdicts}."

    def __init__(self, names: str, verdicts: str) -> None:
        self._fill({"names": names, "verdicts": verdicts})


class ImportUnknown(Hidden):
    CODE = "import_unknown"
    MEANING = "There is no import of that id, or you may not see it."
