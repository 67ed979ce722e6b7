"""What is off with the catalog, or with a project in it."""

from __future__ import annotations

from scandock.model.errors import Coded, CodedUsage, Fault, Worded


class CatalogFailed(Worded, Fault):
    CODE = "catalog"


class CatalogDamaged(Worded, Fault):
    CODE = "catalog_damaged"
    quotes = True


class CatalogNewer(Coded, Fault):
    CODE = "catalog_newer"
    MEANING = "The catalog was written by a newer Scandock."
    SENTENCE = "This catalog was written by a newer Scandock (its version is {version})."
    REMEDY = "Use that version, or restore a backup from before the upgrade."

    def __init__(self, version: str) -> None:
        self._fill({"version": version})


class CatalogOlder(Coded, Fault):
    CODE = "catalog_older"
    SENTENCE = "A server of an older version is at work on this catalog ({version}; this version has {own})."
    REMEDY = (
        "Use the version that the server runs; or stop the server and start this version's, which brings the catalog"
        " up to date."
    )

    def __init__(self, version: str, own: str) -> None:
        self._fill({"version": version, "own": own})


class RestoreUnfinished(CodedUsage):
    CODE = "restore_unfinished"
    STATUS = 503
    MEANING = (
        "The database was being restored from a backup, and that did not end. The same `scandock restore` goes on."
    )
    SENTENCE = "The restore of the backup {backup} into this database has not ended."
    REMEDY = "Run again: scandock restore {backup} --data {data}"

    def __init__(self, backup: str, data: str) -> None:
        self._fill({"backup": backup, "data": data})


class ProjectDeleting(CodedUsage):
    CODE = "project_deleting"
    STATUS = 409
    MEANING = "The project is being deleted: it takes nothing, and its id is free once that is done."
    SENTENCE = "{project} is being deleted."
    REMEDY = "Wait until that is done: then its id is free for a new one."

    def __init__(self, project: str) -> None:
        self._fill({"project": project})
