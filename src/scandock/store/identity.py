"""The id of a data folder, in a file of its own: it goes where the folder is moved, and tells it from any other."""

from __future__ import annotations

import os
from typing import Final

from scandock.store.durability import disk_fault, replace_file, sync_folder

IDENTITY: Final = "data-id"
_LENGTH: Final = 64
_MODE: Final = 0o644
"""An id is no secret, and who runs Scandock need not be who wrote it: root adopts and restores."""


def read_identity(data: str) -> str:
    """The id of a data folder; empty where it has none. Fault where it can't be read."""
    try:
        with open(os.path.join(data, IDENTITY), "rb") as file:
            return file.read(_LENGTH).decode("ascii", "replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        raise disk_fault(error, f"reading {IDENTITY} of {data}") from error


def write_identity(data: str, identity: str) -> None:
    """Give a data folder an id, durably, in place of any that it has. Fault where it can't be written."""
    try:
        folder = os.open(data, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            content = f"{identity}\n".encode("ascii")
            replace_file(IDENTITY, content, folder, mode=_MODE)
            sync_folder(".", folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise disk_fault(error, f"writing {IDENTITY} of {data}") from error
