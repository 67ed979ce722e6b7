"""What can be seen to be wrong before anything is imported, said in one sentence with a remedy (exit 2)."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from typing import Final

from scandock.cli.command_errors import (
    ArchiveMissing,
    ArchiveSpecial,
    ArchiveUnreadable,
    DataEmpty,
    DataInArchive,
    DataNotAFolder,
    DataNotWritable,
    FileUnreadable,
    LabelEmpty,
    OutputNotAFolder,
    ProjectOptionInvalid,
    ReceiptInArchive,
    ReceiptInData,
    ReceiptIsArchive,
    ReceiptNotWritable,
)
from scandock.model.request_errors import DataMissing
from scandock.rules.errors import ProjectIdReserved
from scandock.rules.labels import UNASSIGNED

PROJECT_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


def check_archives(archives: Sequence[str], *, readable: bool = True) -> None:
    """Every ARCHIVE is a file or folder that can be read; Usage names the first that is not.

    Without `readable`, one that can't be read passes: its command tells of it as of other inputs.
    """
    for archive in archives:
        try:
            mode = os.stat(archive).st_mode
        except (FileNotFoundError, NotADirectoryError):
            raise ArchiveMissing(archive) from None
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and not readable:
                continue
            raise ArchiveUnreadable(f"{archive!r} can't be read: {error_reason(error)}.") from None
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise ArchiveSpecial(archive)
        if readable and not os.access(archive, os.R_OK | (os.X_OK if stat.S_ISDIR(mode) else 0)):
            raise ArchiveUnreadable(f"{archive!r} can't be read: permission denied.")


def check_project(project: str | None) -> None:
    """A project id that could never exist is refused before the archive is opened."""
    if project is not None and not PROJECT_ID.fullmatch(project):
        raise ProjectOptionInvalid(project)


def check_new_project(project: str) -> None:
    """As check_project, for a project that is to be made: the reserved name is taken."""
    check_project(project)
    if project.casefold() == UNASSIGNED.casefold():
        raise ProjectIdReserved(
            f"{project!r} can't be the id of a project: sessions without a project stand under it.",
            "Choose another id.",
        )


def check_label(option: str, label: str | None) -> None:
    """An empty label is a slip (an unset variable of a script), not a wish for the default."""
    if label is not None and not label.strip():
        raise LabelEmpty(option)


def check_file(option: str, name: str | None) -> None:
    """The file of an option is there and can be read."""
    if name is None:
        return
    try:
        with open(name, "rb"):
            pass
    except (OSError, ValueError) as error:
        raise FileUnreadable(option, name, error_reason(error)) from None


def check_data(data: str, archives: Sequence[str] = (), *, must_exist: bool = False, is_read: bool = False) -> None:
    """DATA is a folder, or can be made one, and lies in no ARCHIVE; `is_read`: nothing is to be written to it."""
    if not data.strip():
        raise DataEmpty
    if os.path.lexists(data) and not os.path.isdir(data):
        raise DataNotAFolder(f"--data {data!r} is a file, not a folder.", "Name a folder, or a new name.")
    if must_exist and not os.path.isdir(data):
        raise DataMissing(f"There is no folder {data!r}.", "Check the path, or import something into it.")
    nearest = _nearest_existing(data)
    if not os.path.isdir(nearest):
        raise DataNotAFolder(f"--data {data!r} can't be made: {nearest!r} is a file.")
    if not is_read and not os.access(nearest, os.W_OK | os.X_OK):
        raise DataNotWritable(data, nearest)
    for archive in archives:
        if os.path.isdir(archive) and _is_inside(data, archive):
            raise DataInArchive(data, archive)


def check_output_folder(option: str, path: str) -> None:
    """A folder that is written to is one, or can be made one. Raises OutputNotAFolder."""
    if not path.strip() or (os.path.lexists(path) and not os.path.isdir(path)):
        raise OutputNotAFolder(option, path)
    above = os.path.dirname(os.path.realpath(path))
    while not os.path.exists(above):
        above = os.path.dirname(above)
    if not os.path.isdir(above):
        raise OutputNotAFolder(option, path)


def check_receipt(name: str, archives: Sequence[str], data: str | None = None) -> None:
    """The receipt overwrites no archive and lands in none, nor in DATA, whose files are Scandock's own."""
    if name == "-":
        raise ReceiptNotWritable(
            "--receipt - is not taken: standard output tells what became of the sessions.",
            "Name a file (./- for one of that very name).",
        )
    if data is not None and _is_inside(name, data):
        raise ReceiptInData(name, data)
    for archive in archives:
        if os.path.exists(name) and os.path.samefile(name, archive):
            raise ReceiptIsArchive(name)
        if os.path.isdir(archive) and _is_inside(name, archive):
            raise ReceiptInArchive(name, archive)


def error_reason(error: Exception) -> str:
    """What the system says, in lower case: `no such file or directory`."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text[:1].lower() + text[1:]


def _nearest_existing(path: str) -> str:
    """`path`, absolute, or the nearest folder above it that is there."""
    absolute = path if os.path.isabs(path) else os.path.join(os.getcwd(), path)
    parts = absolute.split("/")
    nearest = "/" + "/".join(part for part in parts if part not in {"", "."})  # `..` stays: it may follow a link
    while not os.path.lexists(nearest):
        nearest = os.path.dirname(nearest)
    return nearest


def _is_inside(path: str, folder: str) -> bool:
    above = os.path.realpath(folder)
    return os.path.commonpath([os.path.realpath(path), above]) == above
