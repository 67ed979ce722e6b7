"""Why an archive, an entry or an image can't be read."""

from __future__ import annotations

from typing import Final

from scandock.model.errors import BadInput, Coded, Fault, LimitExceeded, Worded

RAISE: Final = "If the data is real, ask an administrator of this server to raise the limit."
"""What helps beside sending less. The settings are in docs/limits.md."""


class ArchiveEmpty(Worded, BadInput):
    CODE = "empty_archive"


class NotAnArchive(Worded, BadInput):
    CODE = "not_an_archive"


class ArchiveUnsupported(Worded, BadInput):
    CODE = "unsupported_archive"


class ArchiveDamaged(Worded, BadInput):
    CODE = "damaged"


class ArchiveTruncated(Worded, BadInput):
    CODE = "truncated"


class FolderUnreadable(Coded, BadInput):
    CODE = "unreadable"
    SENTENCE = "The folder {folder} can't be read."
    REMEDY = "Look at its permissions."

    def __init__(self, folder: str) -> None:
        self._fill({"folder": folder})


class ArchiveEncrypted(Worded, BadInput):
    CODE = "encrypted"


class MethodUnknown(Coded, BadInput):
    CODE = "unknown_method"
    SENTENCE = "The entry {entry} is compressed by a method that is not read: {method} ({number})."
    REMEDY = "Pack it again with deflate, the usual method."

    def __init__(self, entry: str, method: str, number: int) -> None:
        self._fill({"entry": entry, "method": method, "number": number})


class ArchiveSplit(Worded, BadInput):
    CODE = "split_archive"


class EntriesOverlap(Worded, BadInput):
    CODE = "overlapping_entries"


class EntrySparse(Coded, BadInput):
    CODE = "sparse"
    SENTENCE = "{entry} is packed as a sparse file, which is not read."
    REMEDY = "Pack it again without --sparse."

    def __init__(self, entry: str) -> None:
        self._fill({"entry": entry})


class NestedTooDeep(Coded, BadInput):
    CODE = "too_deep"
    SENTENCE = (
        "The archive {archive} lies {level} levels deep; archives within archives are opened down to level {most}."
    )
    REMEDY = "Pack it with fewer archives within archives."

    def __init__(self, archive: str, level: int, most: int) -> None:
        self._fill({"archive": archive, "level": level, "most": most})


class EntriesTooMany(Worded, LimitExceeded):
    CODE = "too_many_entries"


class UnpackedTooLarge(Coded, LimitExceeded):
    CODE = "too_many_bytes"
    SENTENCE = "The upload unpacks to more than {most}, over all levels together."
    REMEDY = f"Upload it in parts. {RAISE}"

    def __init__(self, most: str) -> None:
        self._fill({"most": most})


class RatioTooLarge(Coded, LimitExceeded):
    CODE = "ratio"
    SENTENCE = "The upload unpacks to more than {most} times its {received} ({unpacked} so far), which images do not."
    REMEDY = f"Check what was packed. {RAISE}"

    def __init__(self, most: float, received: str, unpacked: str) -> None:
        self._fill({"most": most, "received": received, "unpacked": unpacked})


class EntryTooLarge(Coded, LimitExceeded):
    CODE = "entry_too_large"
    SENTENCE = "The entry {entry} unpacks to {size}; at most {most} are taken for one entry."
    REMEDY = f"Leave it out. {RAISE}"

    def __init__(self, entry: str, size: str, most: str) -> None:
        self._fill({"entry": entry, "size": size, "most": most})


class StreamError(Worded, BadInput):
    """Base of the errors about compressed bytes, of an archive or of an entry."""


class StreamDamaged(StreamError):
    CODE = ArchiveDamaged.CODE
    REMEDY = "Make the archive again and send that."


class StreamCut(StreamError):
    CODE = ArchiveTruncated.CODE
    REMEDY = "Send the archive again, whole."


class DictionaryTooLarge(StreamError):
    CODE = "dictionary_too_large"
    REMEDY = "Pack it again with a smaller one (xz -6, zstd without --long)."


class ReadFailed(Worded, Fault):
    CODE = "read_failed"


class Unparseable(BadInput):
    """The bytes are no object that can be kept: `code` says why (not_dicom, header_damaged, no_study_uid ...)."""


class NotDicom(Coded, Unparseable):
    CODE = "not_dicom"
    SENTENCE = "It is not DICOM: no DICM mark, and it does not begin like a data set."


class HeaderDamaged(Worded, Unparseable):
    CODE = "header_damaged"


class HeaderTruncated(Coded, Unparseable):
    CODE = "header_truncated"
    SENTENCE = "Its header is cut: the object ends in {where}."

    def __init__(self, where: str) -> None:
        self._fill({"where": where})


class StudyUidMissing(Coded, Unparseable):
    CODE = "no_study_uid"
    SENTENCE = "It has no Study Instance UID, so no session can be told for it."


class SeriesUidMissing(Coded, Unparseable):
    CODE = "no_series_uid"
    SENTENCE = "It has no Series Instance UID, so no scan can be told for it."


class SopUidMissing(Coded, Unparseable):
    CODE = "no_sop_uid"
    SENTENCE = "It has no SOP Instance UID, so it can't be told from other objects."


class NotEcat(Worded, Unparseable):
    CODE = "not_ecat"


class EcatTruncated(Worded, Unparseable):
    CODE = "ecat_truncated"
