"""What is off with the store, its folders or its disk."""

from __future__ import annotations

from scandock.model.errors import Coded, CodedUsage, Fault, Worded


class FilesystemOnNetwork(CodedUsage):
    CODE = "network_filesystem"
    MEANING = "DATA lies on a network file system, where the embedded catalog would be damaged."
    SENTENCE = "{path} lies on a network file system ({kind}), where an embedded catalog would be damaged."
    REMEDY = "Choose a local folder for DATA, or a PostgreSQL catalog."

    def __init__(self, path: str, kind: str) -> None:
        self._fill({"path": path, "kind": kind})


class StoreFailed(Worded, Fault):
    CODE = "store_failed"
    quotes = True


class StoreMissing(Worded, Fault):
    CODE = "store_missing"
    quotes = True
    MEANING = (
        "The store's folder is gone; or `archive`, `prearchive` or `resources` in it is gone, or empty, though the"
        " catalog knows files there."
    )


class StoreOther(Coded, Fault):
    CODE = "store_other"
    quotes = True
    MEANING = "The bucket is not the one whose objects the catalog names."
    SENTENCE = "{url} holds {what}."
    REMEDY = "Set the bucket and prefix that belong to this catalog."

    def __init__(self, url: str, what: str) -> None:
        self._fill({"url": url, "what": what})


class StoreDivided(Worded, Fault):
    CODE = "store_other_filesystem"
    quotes = True
    MEANING = "Folders under DATA lie on different file systems; they must be one."


class StoreReadOnly(Worded, Fault):
    CODE = "store_read_only"
    quotes = True
    MEANING = "The file system under DATA is read-only."


class SyncFailed(Worded, Fault):
    CODE = "sync_failed"
    quotes = True


class SpoolClosed(Coded, Fault):
    CODE = "spool_closed"
    MEANING = "An upload takes no more objects: its bytes could not be written to disk, or its import has begun."
    SENTENCE = "Upload {upload} takes no more objects."
    REMEDY = "Send them again."

    def __init__(self, upload: str) -> None:
        self._fill({"upload": upload})


class SpoolTaken(SpoolClosed):
    CODE = "spool_taken"
    MEANING = "Another request, maybe of another host, goes on with the upload: ask for its offset and send the rest."
    SENTENCE = "Another request goes on with upload {upload}."
    REMEDY = "Ask for its offset and send the rest from there."


class ScratchMissing(Coded, Fault):
    CODE = "no_scratch"
    MEANING = "The store has no folder to work in."
    SENTENCE = "The store has no folder to work in."
    REMEDY = "Set a local work folder."


class ScratchFailed(Coded, Fault):
    CODE = "scratch_failed"
    quotes = True
    MEANING = "The notes that an import keeps while it runs could not be written."
    SENTENCE = "The notes of the import could not be kept ({why})."
    REMEDY = "Look at the disk."

    def __init__(self, why: str) -> None:
        self._fill({"why": why})


class TreeDamaged(Worded, Fault):
    CODE = "tree_damaged"
    quotes = True
    MEANING = "Files of a session that is to be added to are gone from the store: import an archive that has them."


class TreeMissing(Worded, Fault):
    CODE = "tree_missing"
    quotes = True
    MEANING = "The folder of a session that is to be added to is gone."


class StageTaken(Coded, Fault):
    CODE = "stage_taken"
    quotes = True
    MEANING = "Another process works on this import."
    SENTENCE = "Two stages of {folder} hold something."
    REMEDY = "Import it again."

    def __init__(self, folder: str) -> None:
        self._fill({"folder": folder})


class WorkHeld(Coded, Fault):
    CODE = "work_held"
    MEANING = "Another process holds the work folder of this import."
    SENTENCE = "Another process works on upload {upload}."

    def __init__(self, upload: str) -> None:
        self._fill({"upload": upload})
