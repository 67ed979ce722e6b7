"""The id of a data folder, in a file of its own: it goes where the folder is moved, and tells it from any other.

A host has one too, in its host folder (`host_identity`): names of hosts are given twice, as where machines are cloned.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from typing import Final

from scandock.store.durability import disk_fault, replace_file, sync_folder

IDENTITY: Final = "data-id"
HOST_IDENTITY: Final = "host-id"
_LENGTH: Final = 64
_MODE: Final = 0o644
"""An id is no secret, and who runs Scandock need not be who wrote it: root adopts and restores."""


def read_identity(data: str) -> str:
    """The id of a data folder; empty where it has none. Fault where it can't be read."""
    return _read(data, IDENTITY)


def _read(folder: str, name: str) -> str:
    try:
        with open(os.path.join(folder, name), "rb") as file:
            return file.read(_LENGTH).decode("ascii", "replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        raise disk_fault(error, f"reading {name} of {folder}") from error


def host_identity(folder: str) -> str:
    """The id of the host whose host folder this is, given to it where it has none; empty where there is no folder.

    Nothing is synced: a host that lost its id is a new one. Fault where it can't be read or written.
    """
    identity = _read(folder, HOST_IDENTITY)
    if identity or not os.path.isdir(folder):
        return identity
    new, path = os.path.join(folder, f"{HOST_IDENTITY}.{uuid.uuid4()}"), os.path.join(folder, HOST_IDENTITY)
    try:
        with open(new, "x", encoding="ascii") as file:
            file.write(f"{uuid.uuid4()}\n")
        try:
            os.link(new, path)
        except FileExistsError:  # another process was first; or a power cut has left the file empty
            if not _read(folder, HOST_IDENTITY):
                os.replace(new, path)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new)
    except OSError as error:
        raise disk_fault(error, f"writing {HOST_IDENTITY} of {folder}") from error
    return _read(folder, HOST_IDENTITY)


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
