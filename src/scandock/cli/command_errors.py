"""What is off with a command's options, its files or its output."""

from __future__ import annotations

from scandock.model.errors import Coded, CodedUsage, Fault, Usage, Worded
from scandock.rules.errors import ProjectIdInvalid


class ArchiveMissing(CodedUsage):
    CODE = "archive_missing"
    MEANING = "There is no file or folder of that name."
    SENTENCE = "There is no file or folder {path!r}."
    REMEDY = "Check the path of the archive."

    def __init__(self, path: str) -> None:
        self._fill({"path": path})


class ArchiveSpecial(CodedUsage):
    CODE = "archive_special"
    MEANING = "What was named is neither a file nor a folder: write it to a file first."
    SENTENCE = "{path!r} is neither a file nor a folder."
    REMEDY = "Write it to a file first: archives are read from several places at once."

    def __init__(self, path: str) -> None:
        self._fill({"path": path})


class ArchiveUnreadable(Worded, Usage):
    CODE = "archive_unreadable"
    MEANING = "The archive may not be read."


class DataEmpty(CodedUsage):
    CODE = "data_empty"
    MEANING = "The folder of --data was not named, or is empty."
    SENTENCE = "--data is empty."
    REMEDY = "Name the folder of catalog and store."


class DataNotAFolder(Worded, Usage):
    CODE = "data_not_a_folder"
    MEANING = "What --data names is no folder."


class DataNotWritable(CodedUsage):
    CODE = "data_not_writable"
    MEANING = "The folder of --data can't be written."
    SENTENCE = "--data {data!r}: {folder!r} can't be written to by this user."
    REMEDY = "Let this user write there, or mount it for writing."

    def __init__(self, data: str, folder: str) -> None:
        self._fill({"data": data, "folder": folder})


class DataInArchive(CodedUsage):
    CODE = "data_in_archive"
    MEANING = "--data lies in the folder that is to be imported: it would import itself."
    SENTENCE = "--data {data!r} lies in the folder {archive!r} that is to be imported."
    REMEDY = "Keep the two apart, or it would import itself."

    def __init__(self, data: str, archive: str) -> None:
        self._fill({"data": data, "archive": archive})


class ReceiptNotWritable(Worded, Usage):
    CODE = "receipt_not_writable"
    MEANING = "The file of --receipt can't be written."


class ReceiptInData(CodedUsage):
    CODE = "receipt_in_data"
    MEANING = "The file of --receipt lies in the data folder, whose files are Scandock's own."
    SENTENCE = "--receipt {name!r} lies in the data folder {data!r}."
    REMEDY = "Name a file outside it."

    def __init__(self, name: str, data: str) -> None:
        self._fill({"name": name, "data": data})


class ReceiptInArchive(CodedUsage):
    CODE = "receipt_in_archive"
    MEANING = "The file of --receipt lies in the folder that is to be read."
    SENTENCE = "--receipt {name!r} lies in the folder {archive!r} that is to be read."
    REMEDY = "Name a file outside it."

    def __init__(self, name: str, archive: str) -> None:
        self._fill({"name": name, "archive": archive})


class ReceiptIsArchive(CodedUsage):
    CODE = "receipt_is_archive"
    MEANING = "The file of --receipt is the archive itself."
    SENTENCE = "--receipt {name!r} is the archive itself."
    REMEDY = "Name another file."

    def __init__(self, name: str) -> None:
        self._fill({"name": name})


class ReceiptFailed(Worded, Fault):
    CODE = "receipt_failed"
    MEANING = "The receipt could not be written to its end; the import stands as said."


class OutputFailed(Coded, Fault):
    CODE = "output_failed"
    MEANING = "The command's output could not be written."
    SENTENCE = "The output could not be written: {reason}."

    def __init__(self, reason: str) -> None:
        self._fill({"reason": reason})


class LabelEmpty(CodedUsage):
    CODE = "label_empty"
    MEANING = "A label that was named is empty."
    SENTENCE = "{option} is empty."
    REMEDY = "Name a label, or leave the option out."

    def __init__(self, option: str) -> None:
        self._fill({"option": option})


class FileUnreadable(CodedUsage):
    CODE = "file_unreadable"
    MEANING = "A file that an option names can't be read."
    SENTENCE = "{option} {name!r} can't be read: {reason}."
    REMEDY = "Check its path."

    def __init__(self, option: str, name: str, reason: str) -> None:
        self._fill({"option": option, "name": name, "reason": reason})


class RulesMissing(CodedUsage):
    CODE = "rules_missing"
    MEANING = "There are no rules to try."
    SENTENCE = "There are no rules to try."
    REMEDY = "Name a --file of rules, or --data where they are set."


class RulesNotText(CodedUsage):
    CODE = "rules_not_text"
    MEANING = "The file of rules is no text in UTF-8."
    SENTENCE = "{name!r} is no text in UTF-8."
    REMEDY = "Save it as UTF-8."

    def __init__(self, name: str) -> None:
        self._fill({"name": name})


class RulesTooLong(CodedUsage):
    CODE = "rules_too_long"
    MEANING = "The file of rules is longer than rules can be."
    SENTENCE = "{name!r} is longer than a file of rules can be ({max_bytes:,} bytes)."

    def __init__(self, name: str, max_bytes: int) -> None:
        self._fill({"name": name, "max_bytes": max_bytes})


class PasswordMissing(CodedUsage):
    CODE = "password_missing"
    MEANING = "There is no terminal to ask for a password."
    SENTENCE = "There is no terminal to ask for the password."
    REMEDY = "Use --password-stdin."


class ProjectMissing(CodedUsage):
    CODE = "project_missing"
    MEANING = "There is no project of that id."
    SENTENCE = "There is no project {project!r}."
    REMEDY = "scandock admin project list shows those that are."

    def __init__(self, project: str) -> None:
        self._fill({"project": project})


class TimeUnreadable(CodedUsage):
    CODE = "time_unreadable"
    MEANING = "That is neither a date nor a time."
    SENTENCE = "{option} {text!r} is no time."
    REMEDY = "Write it as 2026-11-24T08:00Z."

    def __init__(self, option: str, text: str) -> None:
        self._fill({"option": option, "text": text})


class DicomPortInvalid(CodedUsage):
    CODE = "dicom_port"
    MEANING = "--dicom-port is neither a port nor off."
    SENTENCE = "{port!r} is no port for DICOM."
    REMEDY = "Name a number from 1 to 65535, or off."

    def __init__(self, port: str) -> None:
        self._fill({"port": port})


class ProjectOptionInvalid(ProjectIdInvalid):
    SENTENCE = "{project!r} can't be the id of a project."
    REMEDY = "Ids are 1 to 64 letters, digits, _ and - ([A-Za-z0-9_-]{{1,64}})."


class OutputInInput(CodedUsage):
    CODE = "output_in_input"
    MEANING = "The folder of --out and a folder that is read are one in the other: outputs would be read as inputs."
    SENTENCE = "--out {out!r} and the folder {path!r} that is to be read are one in the other."
    REMEDY = "Keep the two apart."

    def __init__(self, out: str, path: str) -> None:
        self._fill({"out": out, "path": path})


class OutputNotAFolder(CodedUsage):
    CODE = "output_not_a_folder"
    MEANING = "What --out or --to names is no folder, or can't be made one."
    SENTENCE = "{option} {path!r} is no folder that can be written to."
    REMEDY = "Name a folder, or a new name."

    def __init__(self, option: str, path: str) -> None:
        self._fill({"option": option, "path": path})


class VariableInvalid(CodedUsage):
    CODE = "variable_invalid"
    MEANING = "A variable of --variable is not written as NAME=VALUE."
    SENTENCE = "--variable {text!r} is not NAME=VALUE."
    REMEDY = "A name begins with a letter or _, and has letters, digits and _."

    def __init__(self, text: str) -> None:
        self._fill({"text": text})


class VariableTwice(CodedUsage):
    CODE = "variable_twice"
    MEANING = "A variable of --variable is given more than once."
    SENTENCE = "--variable {name} is given more than once."
    REMEDY = "Give each variable one value."

    def __init__(self, name: str) -> None:
        self._fill({"name": name})


class KeyUnfit(CodedUsage):
    CODE = "key_unfit"
    MEANING = "The file of --key is empty, or too long for a key."
    SENTENCE = "The key in {name!r} has {count:,} bytes; a key has 1 to {most:,}."
    REMEDY = "head -c 32 /dev/urandom > FILE makes one."

    def __init__(self, name: str, count: int, most: int) -> None:
        self._fill({"name": name, "count": count, "most": most})


class ScriptNotText(CodedUsage):
    CODE = "script_not_text"
    MEANING = "The file of a script or lookup table is no text in UTF-8, or is too long."
    SENTENCE = "{name!r} is no text in UTF-8 of at most {most:,} bytes."
    REMEDY = "Save it as UTF-8."

    def __init__(self, name: str, most: int) -> None:
        self._fill({"name": name, "most": most})


class ReceiverMissing(CodedUsage):
    CODE = "receiver_missing"
    MEANING = "There is no DICOM receiver of that AE title."
    SENTENCE = "There is no receiver {name!r}."
    REMEDY = "`scandock admin receiver list` lists them."

    def __init__(self, name: str) -> None:
        self._fill({"name": name})


class ReceiverAmbiguous(CodedUsage):
    CODE = "receiver_ambiguous"
    MEANING = "Several DICOM receivers have that AE title: name the port too, as AE:PORT."
    SENTENCE = "Several receivers are called {name!r}."
    REMEDY = "Name the port too: {name}:PORT."

    def __init__(self, name: str) -> None:
        self._fill({"name": name})


class PeerMissing(CodedUsage):
    CODE = "peer_missing"
    MEANING = "There is no DICOM peer of that AE title."
    SENTENCE = "There is no peer {name!r}."
    REMEDY = "`scandock admin peer list` lists them."

    def __init__(self, name: str) -> None:
        self._fill({"name": name})


class SizeUnreadable(CodedUsage):
    CODE = "size_unreadable"
    MEANING = "That is no size in bytes."
    SENTENCE = "{text!r} is no size."
    REMEDY = "Write a number, or one with a unit, as 2GB or 512MiB."

    def __init__(self, text: str) -> None:
        self._fill({"text": text})
