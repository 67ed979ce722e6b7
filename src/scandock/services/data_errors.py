"""What is off with a backup, or with the data folder or database that a command is to work with."""

from __future__ import annotations

from scandock.model.errors import Coded, CodedUsage, Fault, Usage, Worded


class DataFolderOther(CodedUsage):
    CODE = "data_folder_other"
    MEANING = (
        "The database of SCANDOCK_DATABASE_URL belongs to another data folder, which the message names: name that"
        " folder, or another database. A folder that was restored by hand takes the place by [`admin"
        " adopt`](command-line.md)."
    )
    SENTENCE = "The database of SCANDOCK_DATABASE_URL belongs to the data folder {own}; {data} is {how}."
    REMEDY = (
        "Name {own}, or set the database that belongs to {data}. Where {data} takes the place of {own}, as after a"
        " restore by hand: stop what runs on either, then scandock admin adopt --data {data}"
    )

    def __init__(self, own: str, data: str, how: str) -> None:
        self._fill({"own": own, "data": data, "how": how})


class StoreUnfit(CodedUsage):
    CODE = "store_unfit"
    MEANING = "SCANDOCK_STORE names a bucket, and the catalog is SQLite, which can't be shared by hosts."
    SENTENCE = "A store in a bucket ({store}) needs its catalog in PostgreSQL."
    REMEDY = "Set SCANDOCK_DATABASE_URL, or unset SCANDOCK_STORE."

    def __init__(self, store: str) -> None:
        self._fill({"store": store})


class StoreElsewhere(CodedUsage):
    CODE = "store_elsewhere"
    MEANING = "The catalog names files of another store than SCANDOCK_STORE does: of a bucket, or of a data folder."
    SENTENCE = "The files that this catalog names lie in {where}."
    REMEDY = "Set SCANDOCK_STORE as it was when they were stored, or name another database."

    def __init__(self, where: str) -> None:
        self._fill({"where": where})


class PrivacyKeyUnfit(Coded, Fault):
    CODE = "privacy_key"
    MEANING = (
        "The key by which names, UIDs and patients are hashed is not on this host, or is another one than the catalog"
        " knows. Nothing is imported under a privacy policy there until it is: what was accepted waits, and other hosts"
        " go on. A new key is never made in its place."
    )
    SENTENCE = "The privacy key {path} can't be used: {why}."
    REMEDY = "Copy the file from another host of the site, or from where it is kept; docs/privacy.md says more."
    quotes = True

    def __init__(self, path: str, why: str) -> None:
        self._fill({"path": path, "why": why})


class PrivacyKeyNotMade(PrivacyKeyUnfit):
    SENTENCE = "The site has no privacy key yet: {path} is not there."
    REMEDY = "scandock admin privacy key add --data DATA makes one; docs/privacy.md says more."

    def __init__(self, path: str) -> None:
        self._fill({"path": path})


class DataServed(Worded, Fault):
    CODE = "data_served"
    MEANING = "Another server is at work on the folder of --data."


class ClocksDiffer(Worded, Usage):
    CODE = "clocks_differ"
    STATUS = 409
    MEANING = "The clocks of the server and of its database differ: set the one that is wrong."


class BucketInvalid(CodedUsage):
    CODE = "bucket_invalid"
    MEANING = "What was named is no bucket."
    SENTENCE = "{name} is no bucket."
    REMEDY = "Name it as s3://BUCKET or s3://BUCKET/PREFIX."

    def __init__(self, name: str) -> None:
        self._fill({"name": name})


class MigrationUnsettled(Coded, Fault):
    CODE = "migration_unsettled"
    MEANING = "Imports or changes by hand are under way, so a store can't be switched."
    SENTENCE = "Imports or changes by hand are under way."
    REMEDY = "Start the server, let them end, stop it and run the command again."


class BackupInData(CodedUsage):
    CODE = "backup_in_data"
    MEANING = "The folder of --to lies in the data folder."
    SENTENCE = "{folder} lies in the data folder."
    REMEDY = "Name a folder on another disk."

    def __init__(self, folder: str) -> None:
        self._fill({"folder": folder})


class BackupRunning(CodedUsage):
    CODE = "backup_running"
    MEANING = "Another backup to the same folder is running."
    SENTENCE = "Another backup to {folder} is running."
    REMEDY = "Wait for its end."

    def __init__(self, folder: str) -> None:
        self._fill({"folder": folder})


class BackupUnsettled(Coded, Fault):
    CODE = "backup_unsettled"
    MEANING = "Sessions were changed again and again while they were copied; run the backup again."
    SENTENCE = "Sessions were changed {rounds} times while they were copied: {names}."
    REMEDY = "Run the backup again, best when less is imported; it goes on where it ended."

    def __init__(self, rounds: int, names: str) -> None:
        self._fill({"rounds": rounds, "names": names})


class BackupMissing(CodedUsage):
    CODE = "backup_missing"
    MEANING = "The folder that was named holds no finished backup."
    SENTENCE = "There is no finished backup in {folder}."
    REMEDY = "Name the folder of backup's --to."

    def __init__(self, folder: str) -> None:
        self._fill({"folder": folder})


class BackupNewer(CodedUsage):
    CODE = "backup_newer"
    MEANING = "The backup was made by a newer Scandock."
    SENTENCE = "{backup} was made by a newer Scandock."
    REMEDY = "Restore with that version."

    def __init__(self, backup: str) -> None:
        self._fill({"backup": backup})


class RestoreNotEmpty(Worded, Usage):
    CODE = "restore_not_empty"
    MEANING = "The folder, or the database, to restore to is not empty."


class RestoreOtherCatalog(CodedUsage):
    CODE = "restore_other_catalog"
    MEANING = "The backup has an SQLite catalog and the settings name PostgreSQL, or the other way round."
    SENTENCE = "{why}."
    REMEDY = "Restore with the kind of catalog that the backup has."

    def __init__(self, why: str) -> None:
        self._fill({"why": why})


class RestoreOtherBucket(CodedUsage):
    CODE = "restore_other_bucket"
    MEANING = "The backup belongs to another bucket than the settings name, or one of the two is no bucket."
    SENTENCE = "The files of the backup are in {store_of_backup}, and {store} is not that."
    REMEDY = "Set SCANDOCK_STORE as it was, or to a copy of that bucket."

    def __init__(self, store: str, store_of_backup: str) -> None:
        self._fill({"store": store, "store_of_backup": store_of_backup})


class CatalogOtherVersion(CodedUsage):
    CODE = "catalog_other_version"
    MEANING = "The catalog is of another version of Scandock: back up with the one that the server runs."
    SENTENCE = "The catalog is of another version of Scandock ({version}; this one has {own})."
    REMEDY = "Back up with the version that the server runs."

    def __init__(self, version: str, own: str) -> None:
        self._fill({"version": version, "own": own})


class ProgramMissing(CodedUsage):
    CODE = "program_missing"
    MEANING = "A program of PostgreSQL (`pg_dump`, `pg_restore`) is not installed."
    SENTENCE = "{program} is not installed here."
    REMEDY = "Install PostgreSQL's client programs."

    def __init__(self, program: str) -> None:
        self._fill({"program": program})
