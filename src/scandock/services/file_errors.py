"""What can't be asked of files, of resources or of the trash."""

from __future__ import annotations

from scandock.model.errors import Coded, CodedUsage, Fault, Usage, Worded


class FileUnknown(Worded, Usage):
    CODE = "file_unknown"
    STATUS = 404
    MEANING = "The session has no such file."


class ResourceUnknown(Worded, Usage):
    CODE = "resource_unknown"
    STATUS = 404
    MEANING = "The session, or the scan, has no such resource."


class FileExists(CodedUsage):
    CODE = "file_exists"
    STATUS = 409
    MEANING = "A file of that path stands in the resource already: send it with `overwrite=true` to replace it."
    SENTENCE = "There is a file {name!r} already."
    REMEDY = "Send it with overwrite=true to replace it."

    def __init__(self, name: str) -> None:
        self._fill({"name": name})


class FolderTooLarge(CodedUsage):
    CODE = "folder_too_large"
    STATUS = 409
    MEANING = (
        "A folder of a session with too many files for a listing: `scandock export` writes it out, and each file can be"
        " read by its address."
    )
    SENTENCE = "The session has {files:,} files; folders are listed of up to {most:,}."
    REMEDY = "Export the session, or ask for its files by their names."

    def __init__(self, files: int, most: int) -> None:
        self._fill({"files": files, "most": most})


class FilePathInvalid(Worded, Usage):
    CODE = "file_path_invalid"
    MEANING = "That can't be the path of a file in a resource."


class FileDamaged(Worded, Usage):
    CODE = "file_damaged"
    STATUS = 409
    MEANING = (
        "Files that were asked for are known to be damaged: import the archive again, or ask with `damaged=include` or"
        " `damaged=omit` ([API](api.md))."
    )


class FileMissing(Coded, Fault):
    CODE = "file_missing"
    STATUS = 409
    MEANING = (
        "The file is not in the store. Its session is verified next, and then stands in the list of damage: import the"
        " archive again."
    )
    SENTENCE = "The file is not in the store."
    REMEDY = (
        "Its session is verified next, and an administrator sees the damage. Import the archive again, which heals it."
    )


class FileChanged(Coded, Fault):
    CODE = "file_changed"
    ANSWERED = False
    MEANING = "A file has another size than it was stored with; the zip was broken off."
    SENTENCE = "A file has another size than it was stored with."
    REMEDY = "Run `scandock check`."


class RangeUnsatisfiable(CodedUsage):
    CODE = "range_unsatisfiable"
    STATUS = 416
    MEANING = "Nothing of the file lies in the range that was asked for."
    SENTENCE = "The file has {size} bytes."
    REMEDY = "Ask for less, or for the whole."

    def __init__(self, size: int) -> None:
        self.size = size
        self._fill({"size": size})


class TrashGone(CodedUsage):
    CODE = "trash_gone"
    STATUS = 410
    MEANING = "Its time in the trash is over: its files are deleted."
    SENTENCE = "Its time in the trash is over: its files are deleted."


class EntryRefused(Worded, Usage):
    CODE = "entry_refused"
    MEANING = (
        "An archive that was to be extracted holds a link, a device or a path that leads elsewhere; nothing was taken."
    )


class FileNotAnArchive(CodedUsage):
    CODE = "not_an_archive"
    SENTENCE = "It is to be extracted, but is no zip and no tar."
    REMEDY = "Send it without extract=true."
