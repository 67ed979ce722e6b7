"""The staging area as a whole: beginning, taking over, finishing and forgetting an upload's work."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from scandock.model.errors import TokenLost
from scandock.store import paths
from scandock.store.durability import disk_fault, sync_folder
from scandock.store.errors import StageTaken
from scandock.store.paths import LOCK
from scandock.store.stages import LocalStage

if TYPE_CHECKING:
    from scandock.store.paths import DataPath
    from scandock.store.root import Root


def stage_tokens(root: Root, upload: str) -> list[str]:
    """Tokens whose stages stand."""
    return [name for name in root.list(paths.work_folder(upload)) if name != LOCK]


def is_work(root: Root, name: str) -> bool:
    """Whether something in `work/` is the folder of an upload, not a thing that people put there."""
    try:
        return root.is_folder(paths.work_folder(name))
    except ValueError:
        return False


def begin(root: Root, upload: str, token: str) -> LocalStage:
    """See port.Store.begin."""
    folder = paths.work_folder(upload)
    if paths.label(token) == LOCK:
        raise ValueError(f"{LOCK} can't be a token")
    for _ in range(100):
        try:
            root.make(folder)
            root.make(paths.stage_folder(upload, token))
            break
        except FileNotFoundError:
            continue  # another process has just left the upload's folder empty and removed it
        except OSError as error:
            raise disk_fault(error, f"staging upload {upload}") from error
    return LocalStage(root, upload, token)


def take(root: Root, upload: str, old_token: str, new_token: str) -> LocalStage:
    """See port.Store.take."""
    folder = paths.work_folder(upload)
    paths.label(old_token)
    paths.label(new_token)
    standing = [token for token in stage_tokens(root, upload) if token != new_token]
    if old_token not in standing and len(standing) == 1:
        old_token = standing[0]  # killed between the catalog's new token and this rename, once or more
    if old_token in standing:
        _rename_stage(root, upload, old_token, new_token)
    stage = begin(root, upload, new_token)
    for token in stage_tokens(root, upload):
        if token != new_token:
            root.give_up(paths.data_path_below(folder, token))
    sync_folder(folder, root.fd)
    return stage


def _rename_stage(root: Root, upload: str, old: str, new: str) -> None:
    """A plain rename: it replaces an empty stage of the new token, and fails where that one holds something."""
    folder = paths.work_folder(upload)
    source, target = paths.data_path_below(folder, old), paths.data_path_below(folder, new)
    try:
        os.rename(source, target, src_dir_fd=root.fd, dst_dir_fd=root.fd)
    except FileNotFoundError:
        return  # another process of the same taker was first
    except OSError as error:
        if root.inode(target) is None:
            raise disk_fault(error, f"taking over {folder}") from error
        raise StageTaken(folder) from error


def finish(root: Root, upload: str, token: str) -> None:
    """Remove one stage; TokenLost where another token's stage stands. The lock and the folder go with the hold."""
    _drop(root, paths.stage_folder(upload, token))
    if stage_tokens(root, upload):
        raise TokenLost(f"Upload {upload} has been taken over by another process.")


def forget(root: Root, upload: str) -> None:
    """Remove every stage of an upload; the lock and the folder stay, since they say what is still to be done."""
    for token in stage_tokens(root, upload):
        _drop(root, paths.data_path_below(paths.work_folder(upload), token))


def _drop(root: Root, stage: DataPath) -> None:
    if not remove_empty(root, stage):
        root.give_up(stage)


def remove_empty(root: Root, folder: DataPath) -> bool:
    """Remove a folder if it is empty; False where it isn't, or is gone."""
    try:
        os.rmdir(folder, dir_fd=root.fd)
    except OSError:
        return False
    return True
