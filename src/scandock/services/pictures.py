"""Looking at what is stored: stacks, frames, thumbnails and headers, for who may read the session.

Files are opened in a snapshot of the session's tree and handed to a decoder process by their descriptors. Who looks is
noted in the audit trail once an hour for each session.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import IO, TYPE_CHECKING, Any, Final
from zlib import crc32

from sqlalchemy import Connection, RowMapping, func, select

from scandock.access.throttle import network_of
from scandock.catalog.records import SessionRecord
from scandock.catalog.server_tables import verification
from scandock.catalog.tables import file, resource, scan
from scandock.model import request_limits
from scandock.services import contents
from scandock.services.audit import Did
from scandock.services.damaged_files import damaged_numbers, why_no_picture
from scandock.services.decoding import BUSY, NO_ROOM, Made, Pictures
from scandock.services.downloads import steady
from scandock.services.held_answers import WorkLock
from scandock.services.moving import Desk
from scandock.services.records import path_of
from scandock.services.session_errors import ChangedMeanwhile, ImageUnknown, ScanUnknown
from scandock.store.paths import RelPath
from scandock.viewing.decoder_messages import MAX_FILES
from scandock.viewing.stack import Stack, sort_images
from scandock.viewing.question_queue import Requester

if TYPE_CHECKING:
    from scandock.store.port import Snapshot

VERSION: Final = 1
"""Of how pictures are made: raised when they change, so that nobody is shown those of before."""

MOST_FILES: Final = 20_000
"""Files of one scan that its stack is made of."""

MOST_IMAGES: Final = request_limits.STACK_IMAGES
"""Images of one stack."""

_ROW_BYTES: Final = 1_000
_IMAGE_BYTES: Final = 700
"""What a file's row and an image take in memory while a stack is made."""

MISSING: Final = "The file is not in the store. Run `scandock check`."
_BATCH_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Looked:
    """A scan that somebody may look at: where it stands, and what its pictures are kept by."""

    desk: Desk
    pictures: Pictures
    standing: SessionRecord
    scan_n: int
    damaged: Mapping[int | None, str] = field(default_factory=dict)
    """Number -> kind of its files that are known to be damaged; None: of the whole session's folder."""
    round: int = 0
    """The verification's round of the tree (`round_of`): a picture from before it may be of bytes that had rotted."""

    @property
    def version(self) -> str:
        """Of what it shows: another one once its files are others, or were mended."""
        return f"{self.standing.tree_id}.{self.round}"

    def why_not(self, n: int) -> str:
        """Why a file, by its number, is not shown; empty where it is."""
        kind = self.damaged.get(None) or self.damaged.get(n)
        return why_no_picture(kind) if kind else ""

    @property
    def tree(self) -> str:
        return tree_key(self.standing.tree_id, self.standing.uuid, self.round)

    @property
    def asker(self) -> Requester:
        """Whose turn it takes at the decoders."""
        address = self.desk.request.address if self.desk.request is not None else ""
        return Requester(self.desk.principal.account_id, network_of(address), self.standing.uuid)

    @contextlib.contextmanager
    def new_view(self) -> Iterator[bool]:
        """Whether the trail is to tell that they look at the session's images: once an hour.

        Where that fails, the next time they look.
        """
        who = self.desk.principal.account_id
        where = self.desk.request.address if self.desk.request is not None and who is None else ""
        view = (who, where, self.standing.uuid)
        is_new = self.pictures.is_new_view(view)
        try:
            yield is_new
        except BaseException:
            if is_new:
                self.pictures.forget_view(view)
            raise

    def room(self, size: int) -> WorkLock:
        """Room for what is made for whoever looks. AnswersFull."""
        return self.pictures.held.hold(self.asker.who, size)

    def tag(self, *about: object) -> str:
        """The ETag of a picture of it."""
        damaged = sorted(self.damaged.items(), key=str)
        if damaged:  # no picture from before is right any more
            about = (*about, f"d{crc32(json.dumps(damaged).encode()):x}")
        return (
            '"'
            + "-".join(str(one) for one in ("v", VERSION, self.standing.tree_id, self.round, self.scan_n, *about))
            + '"'
        )


def tree_key(tree_id: int, uuid: str, of_round: int) -> str:
    """What the pictures of a tree are kept under; the session's id besides, as numbers of trees may come again.

    And the verification's round: damage that was mended since leaves no other trace.
    """
    return f"{tree_id}.{of_round}-{uuid}"


ROUND: Final = func.coalesce(verification.c.begun, verification.c.finished, 0)


def round_of(connection: Connection, tree_id: int) -> int:
    """When the round of verification began that reads a tree now, else when its last one ended; 0: none yet.

    A file is mended within a round only, so that this is another number from then on.
    """
    return connection.execute(select(ROUND).where(verification.c.tree_id == tree_id)).scalar() or 0


def look(desk: Desk, pictures: Pictures, uuid: str, scan_id: str) -> Looked:
    """A scan of a session that may be read. Denied, Usage `scan_unknown`."""
    with desk.catalog.read() as connection:
        standing = contents.readable(connection, desk.principal, uuid)
        found = connection.execute(
            select(scan.c.n).where(scan.c.tree_id == standing.tree_id, scan.c.scan_id == scan_id)
        ).scalar()
        damaged = {} if found is None else damaged_numbers(connection, standing.tree_id, found)
        of_round = round_of(connection, standing.tree_id)
    if found is None:
        raise ScanUnknown(f"The session has no scan {scan_id[:128]!r}.")
    return Looked(desk, pictures, standing, found, damaged, of_round)


def note_view(looked: Looked) -> None:
    """Note in the trail that somebody looks at a session's images."""
    with looked.desk.catalog.write() as connection:
        looked.desk.note(connection, Did.VIEW, looked.standing.uuid, looked.standing.project)


def stack_of(looked: Looked) -> Stack:
    """The order in which the scan's images are shown: from memory, from disk, or made anew. Fault `file_missing`."""
    key = (f"{looked.standing.tree_id}-{looked.standing.uuid}", looked.scan_n)
    # a stack from before the damage has the places of files that are gone
    known = looked.pictures.known(key, None if looked.damaged else looked.round)
    if known is not None:
        return known
    name = f"{VERSION}-stack-{looked.scan_n}.json.gz"
    kept = looked.pictures.cache.read(looked.tree, name)
    stack = None
    if kept is None and None in looked.damaged:
        return Stack(reasons=[(0, looked.why_not(0))])
    if kept is not None:
        with contextlib.suppress(ValueError, TypeError, OSError, EOFError):
            stack = Stack.from_json(gzip.decompress(kept).decode())
    if stack is None:
        stack, lasting = _make_stack(looked)
        if not lasting:
            return stack
        looked.pictures.cache.keep(looked.tree, name, gzip.compress(stack.to_json().encode(), 1, mtime=0))
    looked.pictures.remember(key, looked.round, stack)
    return stack


def _make_stack(looked: Looked) -> tuple[Stack, bool]:
    """The stack, and whether the next one would be the same. AnswersFull where too many are made at once."""
    query = (
        contents.files_query(looked.standing)
        .add_columns(resource.c.n.label("resource_n"))
        .where(scan.c.n == looked.scan_n)
        .order_by(file.c.n)
        .limit(MOST_FILES + 1)
    )
    with looked.desk.catalog.read() as connection:
        rows = connection.execute(query).mappings().all()
    stack, lasting = Stack(), True
    if len(rows) > MOST_FILES:
        stack.note = f"The scan has more than {MOST_FILES} files; these are its first."
    found: list[tuple[int, int, list[list[Any]]]] = []
    room = MOST_IMAGES
    with contextlib.ExitStack() as held:
        snapshot = held.enter_context(_opened(looked))
        held.enter_context(looked.room(len(rows) * _ROW_BYTES))
        for start in range(0, min(len(rows), MOST_FILES), MAX_FILES):
            batch = rows[start : min(start + MAX_FILES, MOST_FILES)]
            streams: list[tuple[RowMapping, int]] = []
            made = looked.pictures.ask(
                {"verb": "places"}, partial(_opened_files, snapshot, batch, streams),
                ("places", looked.tree, looked.scan_n, start), asker=looked.asker, seconds=_BATCH_SECONDS,
            )  # fmt: skip
            lasting = lasting and len(streams) == len(batch)
            if made.reason:
                stack.reasons.append((batch[0]["n"], made.reason))
                lasting = lasting and made.lasting
                continue
            before = room
            for (row, _), told in zip(streams, made.said["files"], strict=True):
                if "images" in told:
                    found.append((row["resource_n"], row["n"], told["images"][:room]))
                    room -= len(told["images"])
                elif len(stack.reasons) < 100:
                    stack.reasons.append((row["n"], str(told["reason"])))
                if room < 0:
                    stack.note = f"The scan has more than {MOST_IMAGES} images; these are its first."
                    break
            held.enter_context(looked.room((before - max(room, 0)) * _IMAGE_BYTES))
            if room < 0:
                break
        stack.images = sort_images(found)
    if not stack.images and not stack.reasons and rows:
        stack.reasons.append((rows[0]["n"], MISSING))
    return stack, lasting


def thumbnail(looked: Looked) -> Made:
    """A small picture of the scan's image in the middle."""
    name = f"{VERSION}-thumbnail-{looked.scan_n}.webp"
    kept = None if looked.damaged else looked.pictures.cache.read(looked.tree, name)
    if kept is not None:
        return Made({"type": "image/webp"}, kept)
    stack = stack_of(looked)
    if not stack.images:
        return _nothing(looked, stack)
    made = _ask(looked, stack, stack.middle, {"verb": "thumbnail"})
    if not made.reason:
        looked.pictures.cache.keep(looked.tree, name, made.body)
    return made


def frame(looked: Looked, at: int, *, packed: bool) -> Made:
    """The numbers of one image of the stack. Usage `image_unknown`."""
    return _ask(looked, *_image(looked, at), {"verb": "raw", "packed": packed})


def picture(looked: Looked, at: int, window: tuple[float, float] | None, size: int | None) -> Made:
    """One image of the stack as PNG, through a window (centre, width), else through the header's. Usage."""
    said: dict[str, Any] = {"verb": "picture", "size": size}
    if window is not None:
        said |= {"center": window[0], "width": window[1]}
    return _ask(looked, *_image(looked, at), said)


def header(desk: Desk, pictures: Pictures, uuid: str, n: int) -> tuple[Made, str]:
    """The elements of a file as rows of text, and their ETag. Denied, Usage `file_unknown`, Fault `file_missing`."""
    with desk.catalog.read() as connection:
        standing = contents.readable(connection, desk.principal, uuid)
        item = contents.file_of(connection, standing, n)
        damaged = dict(damaged_numbers(connection, standing.tree_id, -1))
        of_round = round_of(connection, standing.tree_id)
    if item.damaged:
        damaged[n] = item.damaged
    looked = Looked(desk, pictures, standing, -1, damaged, of_round)
    with looked.new_view() as is_new:
        if is_new:
            note_view(looked)
    tag = looked.tag("header", n)
    if why := looked.why_not(n):
        return Made(reason=why, lasting=False), tag
    return _ask_of(looked, item.path, {"verb": "header"}, item.sha256), tag


def _image(looked: Looked, at: int) -> tuple[Stack, int]:
    stack = stack_of(looked)
    if stack.images and not 0 <= at < len(stack.images):
        raise ImageUnknown(len(stack.images), at)
    return stack, at


def _ask(looked: Looked, stack: Stack, at: int, said: dict[str, Any]) -> Made:
    if not stack.images:
        return _nothing(looked, stack)
    image = stack.images[at]
    why = looked.why_not(image.file)
    if why:
        return Made(reason=why, lasting=False)
    with looked.desk.catalog.read() as connection:
        row = connection.execute(
            contents.files_query(looked.standing).where(file.c.n == image.file)
        ).mappings().one()  # fmt: skip
    return _ask_of(looked, path_of(row), {**said, "frame": image.frame}, row["sha256"])


def _ask_of(looked: Looked, path: RelPath, said: dict[str, Any], content: object) -> Made:
    """Ask a decoder about one file; by its content it is known again where that killed one."""

    @contextlib.contextmanager
    def opened() -> Iterator[list[int]]:
        with _opened(looked) as snapshot, _file(snapshot, path) as fd:
            yield [fd]

    try:
        return looked.pictures.ask(said, opened, (said["verb"], content, said.get("frame")), asker=looked.asker)
    except FileNotFoundError:
        return Made(reason=MISSING, lasting=False)


def _nothing(looked: Looked, stack: Stack) -> Made:
    reason = stack.reasons[0][1] if stack.reasons else "The scan has no files."
    return Made(reason=reason, lasting=reason not in (BUSY, MISSING, NO_ROOM) and not looked.damaged)


@contextlib.contextmanager
def _opened(looked: Looked) -> Iterator[Snapshot]:
    """A snapshot of the very tree. Usage `changed_meanwhile` where it was replaced just now."""
    standing, snapshot = steady(looked.desk, looked.standing.uuid)
    with snapshot:
        if standing.tree_id != looked.standing.tree_id:
            raise ChangedMeanwhile("The session has just changed.", "Load it anew.")
        yield snapshot


@contextlib.contextmanager
def _opened_files(
    snapshot: Snapshot, rows: Sequence[RowMapping], streams: list[tuple[RowMapping, int]]
) -> Iterator[list[int]]:
    """The descriptors of files, those that are not there left out; `streams` has them with their rows."""
    streams.clear()
    with contextlib.ExitStack() as opened:
        for row in rows:
            with contextlib.suppress(FileNotFoundError):
                streams.append((row, _fd(opened.enter_context(snapshot.open(path_of(row))), opened)))
        yield [fd for _, fd in streams]


@contextlib.contextmanager
def _file(snapshot: Snapshot, path: RelPath) -> Iterator[int]:
    with contextlib.ExitStack() as opened:
        yield _fd(opened.enter_context(snapshot.open(path)), opened)


def _fd(stream: IO[bytes], opened: contextlib.ExitStack) -> int:
    """A descriptor of an open file; of one that has none (a store elsewhere), of a copy in memory."""
    try:
        return stream.fileno()
    except OSError:
        fd = os.memfd_create("scandock-picture")
        opened.callback(os.close, fd)
        while chunk := stream.read(1024 * 1024):
            os.write(fd, chunk)
        return fd
