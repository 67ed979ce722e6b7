"""The local store: folders under DATA (design.md "On disk"). See port.Store for what each verb promises."""

from __future__ import annotations

import contextlib
import os
from typing import IO, TYPE_CHECKING

from scandock.model.errors import Fault, TokenLost
from scandock.store import names, owners, readers, snapshots, space, sweeping
from scandock.store.durable import fault, sync_folder
from scandock.store.root import INCOMING, RECEIPTS, WORK, Root
from scandock.store.spools import LocalSpool
from scandock.store.stages import LocalStage
from scandock.store.trash import Trash, new_id
from scandock.store.trees import Trees

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scandock.store.port import Capabilities, Found, Stage, Swept, TrashEntry


class LocalStore:
    """The store of one DATA. Making one costs nothing and touches nothing; commands call `prepare` once."""

    __slots__ = ("_capabilities", "_root", "_trash", "_trees")

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self._root = Root(os.fspath(root))
        self._capabilities: Capabilities | None = None
        self._trees = Trees(self._root, lambda: self.capabilities().exchange)
        self._trash = Trash(self._root, self._trees)

    def __reduce__(self) -> tuple[type[LocalStore], tuple[str]]:
        return (LocalStore, (self._root.path,))

    @property
    def path(self) -> str:
        """DATA; for the messages and the local fast paths, not to be joined to."""
        return self._root.path

    def prepare(self) -> None:
        self._root.prepare()

    def close(self) -> None:
        """Close DATA's descriptor; it is opened again when needed."""
        self._root.close()

    def capabilities(self) -> Capabilities:
        if self._capabilities is None:
            self._capabilities = space.probe(self._root)
        return self._capabilities

    def reserve(self, needed: int, *, files: int = 0, min_free: int = 0) -> int:
        return space.reserve(self._root, needed, files, min_free)

    # what arrives

    def spool(self, upload: str) -> LocalSpool:
        return LocalSpool(self._root, upload)

    def spools(self) -> list[str]:
        return self._root.list(INCOMING)

    # what is being made of it

    def hold(self, upload: str) -> owners.LocalHold:
        return owners.LocalHold(self._root, upload)

    def owner_alive(self, upload: str) -> bool:
        return owners.alive(self._root, upload)

    def begin(self, upload: str, token: str) -> LocalStage:
        folder = f"{WORK}/{names.label(upload)}"
        try:
            self._root.make(folder)
            self._root.make(f"{folder}/{names.label(token)}")
        except OSError as error:
            raise fault(error, f"staging upload {upload}") from error
        return LocalStage(self._root, upload, token)

    def stage(self, upload: str, token: str) -> LocalStage:
        return LocalStage(self._root, upload, token)

    def take(self, upload: str, old_token: str, new_token: str) -> LocalStage:
        folder = f"{WORK}/{names.label(upload)}"
        names.label(old_token)
        standing = [token for token in self.tokens(upload) if token != names.label(new_token)]
        if old_token not in standing and len(standing) == 1:
            old_token = standing[0]  # killed between the catalog's new token and this rename, once or more
        try:
            if old_token in standing:
                os.rename(
                    f"{folder}/{old_token}",
                    f"{folder}/{new_token}",
                    src_dir_fd=self._root.fd,
                    dst_dir_fd=self._root.fd,
                )
        except OSError as error:
            if self._root.inode(f"{folder}/{new_token}") is None:
                raise fault(error, f"taking upload {upload} over") from error
            if self._root.inode(f"{folder}/{old_token}") is not None:
                raise Fault("stage_taken", f"Two stages of upload {upload} hold something.") from error
        stage = self.begin(upload, new_token)
        for token in self.tokens(upload):
            if token != new_token:
                self._root.give_up(f"{folder}/{token}")
        sync_folder(folder, self._root.fd)
        return stage

    def works(self) -> list[str]:
        return self._root.list(WORK)

    def tokens(self, upload: str) -> list[str]:
        return [name for name in self._root.list(f"{WORK}/{names.label(upload)}") if name != owners.LOCK]

    def finish(self, stage: Stage) -> None:
        folder = f"{WORK}/{names.label(stage.upload)}"
        others = [token for token in self.tokens(stage.upload) if token != stage.token]
        if others:
            raise TokenLost("token_lost", f"Upload {stage.upload} has been taken over by another process.")
        stage.close()
        if not self._rmdir(f"{folder}/{stage.token}"):
            self._root.give_up(f"{folder}/{stage.token}")
        self._leave(folder)

    def forget(self, upload: str) -> None:
        folder = f"{WORK}/{names.label(upload)}"
        for token in self.tokens(upload):
            if not self._rmdir(f"{folder}/{token}"):
                self._root.give_up(f"{folder}/{token}")
        self._leave(folder)

    def _leave(self, folder: str) -> None:
        """Remove the lock and the upload's folder, unless someone has begun anew in it."""
        try:
            os.unlink(f"{folder}/{owners.LOCK}", dir_fd=self._root.fd)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise fault(error, f"removing {folder}") from error
        self._rmdir(folder)

    def _rmdir(self, folder: str) -> bool:
        try:
            os.rmdir(folder, dir_fd=self._root.fd)
        except OSError:
            return False
        return True

    # what people see

    def publish_new(self, stage: Stage, rel: str, name: str, *, inode: int | None = None, settle: bool = True) -> None:
        self._trees.publish_new(_path(stage), rel, name, inode)
        if settle:
            self._trees.settle()

    def publish_exchange(
        self, stage: Stage, rel: str, name: str, *, inode: int | None = None, settle: bool = True
    ) -> None:
        self._trees.publish_exchange(_path(stage), rel, name, inode)
        if settle:
            self._trees.settle()

    def rename(self, old: str, new: str, *, inode: int | None = None, settle: bool = True) -> None:
        self._trees.rename(old, new, inode)
        if settle:
            self._trees.settle()

    def settle(self) -> None:
        self._trees.settle()

    def current(self, name: str) -> int | None:
        names.parse(name)
        return self._root.inode(name)

    def snapshot(self, name: str) -> snapshots.LocalSnapshot:
        return snapshots.LocalSnapshot(self._root, name)

    def walk(self, prefix: str) -> Iterator[Found]:
        return snapshots.walk(self._root, prefix)

    # what is taken out

    def retire(
        self,
        name: str,
        *,
        stage: Stage | None = None,
        note: Mapping[str, object] | None = None,
        trash: str | None = None,
    ) -> str | None:
        if stage is None:
            names.parse(name)
            path = name
        else:
            path = f"{_path(stage)}/{names.relpath(name)}"
        kept = self._trash.retire(path, trash or new_id(), note or {})
        if stage is None:
            self._trees.prune(name)
        return kept

    def new_trash_id(self) -> str:
        return new_id()

    def trash(self) -> Iterator[TrashEntry]:
        return self._trash.entries()

    def restore(self, trash: str, name: str) -> None:
        self._trash.restore(trash, name)

    def purge(self, older_than: float, *, now: float | None = None) -> list[str]:
        return self._trash.purge(older_than, now)

    def sweep(self, seconds: float | None = None) -> Swept:
        return sweeping.sweep(self._root, self._trash.rubbish(), seconds)

    # receipts

    def keep_receipt(self, stage: Stage, rel: str) -> None:
        target = _receipt(stage.upload)
        source = f"{_path(stage)}/{names.relpath(rel)}"
        try:
            os.rename(source, target, src_dir_fd=self._root.fd, dst_dir_fd=self._root.fd)
        except FileNotFoundError:
            if self._root.inode(target) is None:
                raise
        except OSError as error:
            raise fault(error, f"keeping the receipt of {stage.upload}") from error
        sync_folder(RECEIPTS, self._root.fd)

    def open_receipt(self, upload: str) -> IO[bytes]:
        return readers.open_file(_receipt(upload), self._root.fd)

    def drop_receipt(self, upload: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(_receipt(upload), dir_fd=self._root.fd)


def _path(stage: Stage) -> str:
    return f"{WORK}/{names.label(stage.upload)}/{names.label(stage.token)}"


def _receipt(upload: str) -> str:
    return f"{RECEIPTS}/{names.label(upload)}.jsonl.gz"
