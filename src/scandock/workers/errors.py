"""What ended an attempt at an import, or keeps the server from beginning."""

from __future__ import annotations

from scandock.model.errors import Coded, CodedUsage, Fault, Usage, Worded


class AttemptDied(Worded, Fault):
    CODE = "attempt_died"
    MEANING = "The process of the import ended by a fault of its own; it is tried again, and the log says more."
    REMEDY = "It is tried again; look at the log."


class AttemptKilled(Coded, Fault):
    CODE = "attempt_killed"
    MEANING = "The process of the import was killed from outside; it is tried again."
    SENTENCE = "The import's process was killed from outside."
    REMEDY = "It is tried again."


class BytesMissing(Coded, Fault):
    CODE = "bytes_missing"
    MEANING = (
        "The bytes of the upload are not in the data folder, as in a copy that was made after the import had ended."
        " Send the archive again."
    )
    SENTENCE = (
        "The bytes of this upload are not in the data folder, as in a copy of it that was made after the import had"
        " ended."
    )
    REMEDY = "Send the archive again."


class OutOfMemory(Worded, Fault):
    CODE = "out_of_memory"


class ReaderFailed(Coded, Fault):
    CODE = "reader_failed"
    SENTENCE = "Readers do not start."
    REMEDY = "Look at the log, and at the memory that is free."


class RulesChanged(Coded, Fault):
    CODE = "site_rules_changed"
    ANSWERED = False
    MEANING = "Rules, filters or privacy of the site were changed in the moment in which the command began to read."
    SENTENCE = "The site's rules, filters or privacy have changed since the archive began to be read."
    REMEDY = "Import it again."


class AccountDisabled(CodedUsage):
    CODE = "account_disabled"
    ANSWERED = False
    MEANING = "The account was disabled before its import began: refused, nothing of it is stored."
    SENTENCE = "The account that sent this has been disabled since."
    REMEDY = "Have the account enabled again, or send it by another one."


class PromisedUnplaced(Coded, Fault):
    CODE = "promised_unplaced"
    ANSWERED = False
    MEANING = "What a DICOM receiver took can't be placed as it is set; it is kept and tried again."
    SENTENCE = "What a receiver took can't be placed: {why}"
    REMEDY = "Set right what it names, and have it tried again."

    def __init__(self, why: str) -> None:
        self._fill({"why": why})


class MappingProjectUnknown(CodedUsage):
    CODE = "mapping_project_unknown"
    MEANING = "The mapping names projects that do not exist; `--create-project` makes that of `--project` alone."
    SENTENCE = "The mapping names projects that do not exist: {names}{more}."
    REMEDY = "Make each first, as with `scandock admin project add {first} --data DIR`, or correct the mapping."

    def __init__(self, names: str, more: str, first: str) -> None:
        self._fill({"names": names, "more": more, "first": first})


class PortTaken(Coded, Fault):
    CODE = "port_taken"
    MEANING = "The port can't be had: another program listens there, or the right to it is missing."
    SENTENCE = "Port {port} of {host} can't be had."
    REMEDY = "Choose another one with --port."

    def __init__(self, port: int, host: str) -> None:
        self._fill({"port": port, "host": host})


class RoleUnfit(Worded, Usage):
    CODE = "role_unfit"
    MEANING = "What --role asks for goes with PostgreSQL alone, or not with --dicom-port."


class HostTaken(Coded, Fault):
    CODE = "host_taken"
    MEANING = (
        "Another server serves under the id of this host, as where a machine, or on one machine a host folder, was"
        " copied."
    )
    SENTENCE = "Another server serves under the id of this host, which the file {path} holds."
    REMEDY = "Remove that file where it is a copy, and start again; or give each host a folder by SCANDOCK_HOST_FOLDER."

    def __init__(self, path: str) -> None:
        self._fill({"path": path})


class HostUnknown(Worded, Usage):
    CODE = "host_unknown"
    MEANING = "What --host names is no address of this machine."


class WorkerAway(Coded, Fault):
    CODE = "worker_away"
    MEANING = "The worker, which keeps the catalog for the receiver process, does not answer; it is started again."
    SENTENCE = "The worker, which keeps the catalog for DICOM receivers, does not answer."
    REMEDY = "Try again in a moment; look at the log."
