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
from dataclasses import field
from functools import partial
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple
from zlib import crc32

from sqlalchemy import Connection, func, select

from scandock.access.throttle import network_of
from scandock.catalog.records import SessionRecord
from scandock.catalog.server_tables import verification
from scandock.catalog.tables import scan
from scandock.catalog.tree_places import read_places
from scandock.catalog.trees import files_of_resources, find_files
from scandock.model import request_limits
from scandock.model.dataclass import dataclass
from scandock.services import session_contents
from scandock.services.audit import AuditAction
from scandock.services.context import ServiceContext
from scandock.services.damaged_files import find_damaged_numbers, why_no_picture
from scandock.services.decoding import BUSY, NO_ROOM, DecoderResult, Pictures
from scandock.services.downloads import open_session_snapshot
from scandock.services.records import StoredFile
from scandock.services.response_buffers import BufferReservation
from scandock.services.session_errors import ChangedMeanwhile, ImageUnknown, ScanUnknown
from scandock.store.paths import RelPath
from scandock.viewing.decoder_messages import MAX_DESCRIPTORS, DecoderRequest
from scandock.viewing.question_queue import Requester
from scandock.viewing.stack import Stack, sort_images

if TYPE_CHECKING:
    from scandock.store.port import Snapshot

VERSION: Final = 2
"""Of how pictures, and reasons why there are none, are made: raised when they change, so that nobody is shown those of
before."""

MAX_FILES: Final = 20_000
"""Files of one scan that its stack is made of."""

MAX_IMAGES: Final = request_limits.STACK_IMAGES
"""Images of one stack."""

THUMBNAIL_TRIES: Final = 4
"""Images of a scan that are tried for its thumbnail."""

_ROW_BYTES: Final = 1_000
_IMAGE_BYTES: Final = 700
"""What a file's row and an image take in memory while a stack is made."""

MISSING: Final = "The file is not in the store. Run `scandock check`."
_BATCH_SECONDS: Final = 30.0


class TreeReading(NamedTuple):
    """When verification read a tree; 0: it has not."""

    verified: int = 0
    """When the round began that reads it now, else when the last one ended."""
    doubted: int = 0
    """When its files were last found to be damaged or whole again, or a round began or ended that was not the first.

    A file is mended within a round only, so that this is another number from then on. The first round comes right after
    a tree was placed: where all is whole, what was made of it is kept.
    """


@dataclass(frozen=True, slots=True)
class ScanView:
    """A scan that somebody may look at: where it stands, and what its pictures are kept by."""

    context: ServiceContext
    pictures: Pictures
    session: SessionRecord
    scan_n: int
    damaged: Mapping[int | None, str] = field(default_factory=dict)
    """Number -> kind of its files that are known to be damaged; None: of the whole session's folder."""
    reading: TreeReading = TreeReading()
    """When its files were read again: a picture from before they were in doubt may be of bytes that had rotted."""

    @property
    def version(self) -> str:
        """Of what it shows, as pages and clients of the API know it: another one once files were read, or changed."""
        return f"{self.session.tree_id}.{self.reading.verified}"

    def why_not_shown(self, n: int) -> str:
        """Why a file, by its number, is not shown; empty where it is."""
        kind = self.damaged.get(None) or self.damaged.get(n)
        return why_no_picture(kind) if kind else ""

    @property
    def tree(self) -> str:
        return make_tree_key(self.session.tree_id, self.session.uuid, self.reading.doubted)

    @property
    def asker(self) -> Requester:
        """Whose turn it takes at the decoders."""
        address = self.context.request.address if self.context.request is not None else ""
        return Requester(self.context.principal.account_id, network_of(address), self.session.uuid)

    @contextlib.contextmanager
    def new_view(self) -> Iterator[bool]:
        """Whether the trail is to tell that they look at the session's images: once an hour.

        Where that fails, the next time they look.
        """
        account_id = self.context.principal.account_id
        where = self.context.request.address if self.context.request is not None and account_id is None else ""
        view = (account_id, where, self.session.uuid)
        is_new = self.pictures.is_new_view(view)
        try:
            yield is_new
        except BaseException:
            if is_new:
                self.pictures.forget_view(view)
            raise

    def room(self, size: int) -> BufferReservation:
        """Room for what is made for whoever looks. ResponseBuffersFull."""
        return self.pictures.held.hold(self.asker.who, size)

    def tag(self, *about: object) -> str:
        """The ETag of a picture of it."""
        damaged = sorted(self.damaged.items(), key=str)
        if damaged:  # no picture from before is right any more
            about = (*about, f"d{crc32(json.dumps(damaged).encode()):x}")
        return (
            '"'
            + "-".join(
                str(value) for value in ("v", VERSION, self.session.tree_id, self.reading.doubted, self.scan_n, *about)
            )
            + '"'
        )


def make_tree_key(tree_id: int, uuid: str, doubted: int) -> str:
    """What the pictures of a tree are kept under; the session's id besides, as numbers of trees may come again.

    And when its files were last in doubt: damage that was mended since leaves no other trace.
    """
    return f"{tree_id}.{doubted}-{uuid}"


DOUBTED: Final = func.coalesce(verification.c.doubted, 0)


def read_reading(connection: Connection, tree_id: int) -> TreeReading:
    """When a tree was read."""
    verified = func.coalesce(verification.c.begun, verification.c.finished, 0)
    row = connection.execute(select(verified, DOUBTED).where(verification.c.tree_id == tree_id)).first()
    return TreeReading(*row) if row is not None else TreeReading()


def open_scan_view(context: ServiceContext, pictures: Pictures, uuid: str, scan_id: str) -> ScanView:
    """A scan of a session that may be read. AccessDenied, Usage `scan_unknown`.

    Who looks at what is kept is about to look at images: a decoder is started for them meanwhile.
    """
    with context.catalog.read() as connection:
        record = session_contents.find_readable_session(connection, context.principal, uuid)
        scan_n = connection.execute(
            select(scan.c.n).where(scan.c.tree_id == record.tree_id, scan.c.scan_id == scan_id)
        ).scalar()
        damaged = {} if scan_n is None else find_damaged_numbers(connection, record.tree_id, scan_n)
        reading = read_reading(connection, record.tree_id)
    if scan_n is None:
        raise ScanUnknown(f"The session has no scan {scan_id[:128]!r}.")
    pictures.decoders.warm()
    return ScanView(context, pictures, record, scan_n, damaged, reading)


def note_view(view: ScanView) -> None:
    """Note in the trail that somebody looks at a session's images."""
    with view.context.catalog.write() as connection:
        view.context.note(connection, AuditAction.VIEW, view.session.uuid, view.session.project)


def read_stack(view: ScanView) -> Stack:
    """The order in which the scan's images are shown: from memory, from disk, or made anew. Fault `file_missing`."""
    key = (f"{view.session.tree_id}-{view.session.uuid}", view.scan_n)
    # a stack from before the damage has the places of files that are gone
    remembered = view.pictures.known(key, None if view.damaged else view.reading.doubted)
    if remembered is not None:
        return remembered
    name = f"{VERSION}-stack-{view.scan_n}.json.gz"
    cached = view.pictures.cache.read(view.tree, name)
    stack = None
    if cached is None and None in view.damaged:
        return Stack(reasons=[(0, view.why_not_shown(0))])
    if cached is not None:
        with contextlib.suppress(ValueError, TypeError, OSError, EOFError):
            stack = Stack.from_json(gzip.decompress(cached).decode())
    if stack is None:
        stack, lasting = _make_stack(view)
        if not lasting:
            return stack
        view.pictures.cache.keep(view.tree, name, gzip.compress(stack.to_json().encode(), 1, mtime=0))
    view.pictures.remember(key, view.reading.doubted, stack)
    return stack


def _make_stack(view: ScanView) -> tuple[Stack, bool]:
    """The stack, and whether the next one would be the same. ResponseBuffersFull where too many are made at once."""
    with view.context.catalog.read() as connection:
        places_of_tree = read_places(connection, view.session.tree_id)
        numbers = {place.n for place in places_of_tree.values() if place.scan_n == view.scan_n}
        rows = islice(files_of_resources(connection, view.session.tree_id, numbers), MAX_FILES + 1)
        files = [StoredFile.make(row, places_of_tree[row.resource_n]) for row in rows]
    stack, lasting = Stack(), True
    if len(files) > MAX_FILES:
        stack.note = f"The scan has more than {MAX_FILES} files; these are its first."
    places: list[tuple[int, int, list[list[Any]]]] = []
    images_left = MAX_IMAGES
    with contextlib.ExitStack() as exits:
        snapshot = exits.enter_context(_open_tree(view))
        exits.enter_context(view.room(len(files) * _ROW_BYTES))
        for start in range(0, min(len(files), MAX_FILES), MAX_DESCRIPTORS):
            batch = files[start : min(start + MAX_DESCRIPTORS, MAX_FILES)]
            streams: list[tuple[StoredFile, int]] = []
            result = view.pictures.ask(
                {"verb": "places"}, partial(_open_files, snapshot, batch, streams),
                ("places", view.tree, view.scan_n, start), asker=view.asker, seconds=_BATCH_SECONDS,
            )  # fmt: skip
            lasting = lasting and len(streams) == len(batch)
            if result.reason:
                stack.reasons.append((batch[0].n, result.reason))
                lasting = lasting and result.lasting
                continue
            room_before = images_left
            for (stored, _), answer in zip(streams, result.said["files"], strict=True):
                if "images" in answer:
                    places.append((stored.resource_n, stored.n, answer["images"][:images_left]))
                    images_left -= len(answer["images"])
                elif len(stack.reasons) < 100:
                    stack.reasons.append((stored.n, str(answer["reason"])))
                if images_left < 0:
                    stack.note = f"The scan has more than {MAX_IMAGES} images; these are its first."
                    break
            exits.enter_context(view.room((room_before - max(images_left, 0)) * _IMAGE_BYTES))
            if images_left < 0:
                break
        stack.images = sort_images(places)
    if not stack.images and not stack.reasons and files:
        stack.reasons.append((files[0].n, MISSING))
    return stack, lasting


def make_thumbnail(view: ScanView) -> DecoderResult:
    """A small picture of the scan's image in the middle, or of one near it where that can't be shown."""
    name = f"{VERSION}-thumbnail-{view.scan_n}.webp"
    cached = None if view.damaged else view.pictures.cache.read(view.tree, name)
    if cached:  # nothing is what a cut of the power may leave of it
        return DecoderResult({"type": "image/webp"}, cached)
    stack = read_stack(view)
    if not stack.images:
        return _no_image(view, stack)
    first_result = None
    for index in _find_thumbnail_candidates(stack):
        result = _ask_image(view, stack, index, {"verb": "thumbnail"})
        if not result.reason:
            view.pictures.cache.keep(view.tree, name, result.body)
            return result
        first_result = first_result or result
        if not result.lasting:
            break
    assert first_result is not None  # a stack with images has one in the middle
    return first_result


def _find_thumbnail_candidates(stack: Stack) -> list[int]:
    """The image in the middle, then those beside it, of another file each: one that can't be shown is no picture."""
    files: set[int] = set()
    candidates = []
    for index in sorted(range(len(stack.images)), key=lambda index: abs(index - stack.middle)):
        if stack.images[index].file not in files:
            files.add(stack.images[index].file)
            candidates.append(index)
        if len(candidates) == THUMBNAIL_TRIES:
            break
    return candidates


def read_frame(view: ScanView, index: int, *, packed: bool) -> DecoderResult:
    """The numbers of one image of the stack. Usage `image_unknown`."""
    return _ask_image(view, *_check_image(view, index), {"verb": "raw", "packed": packed})


def make_picture(view: ScanView, index: int, window: tuple[float, float] | None, size: int | None) -> DecoderResult:
    """One image of the stack as PNG, through a window (centre, width), else through the header's. Usage."""
    request: DecoderRequest = {"verb": "picture", "size": size}
    if window is not None:
        request["center"], request["width"] = window
    return _ask_image(view, *_check_image(view, index), request)


def read_header(context: ServiceContext, pictures: Pictures, uuid: str, n: int) -> tuple[DecoderResult, str]:
    """The elements of a file as rows of text, and their ETag.

    AccessDenied, Usage `file_unknown`, Fault `file_missing`.
    """
    with context.catalog.read() as connection:
        record = session_contents.find_readable_session(connection, context.principal, uuid)
        item = session_contents.read_file(connection, record, n)
        damaged = dict(find_damaged_numbers(connection, record.tree_id, -1))
        reading = read_reading(connection, record.tree_id)
    if item.damaged:
        damaged[n] = item.damaged
    view = ScanView(context, pictures, record, -1, damaged, reading)
    with view.new_view() as is_new:
        if is_new:
            note_view(view)
    tag = view.tag("header", n)
    if why := view.why_not_shown(n):
        return DecoderResult(reason=why, lasting=False), tag
    return _ask_file(view, item.path, {"verb": "header"}, item.sha256), tag


def _check_image(view: ScanView, index: int) -> tuple[Stack, int]:
    stack = read_stack(view)
    if stack.images and not 0 <= index < len(stack.images):
        raise ImageUnknown(len(stack.images), index)
    return stack, index


def _ask_image(view: ScanView, stack: Stack, index: int, request: DecoderRequest) -> DecoderResult:
    if not stack.images:
        return _no_image(view, stack)
    image = stack.images[index]
    why = view.why_not_shown(image.file)
    if why:
        return DecoderResult(reason=why, lasting=False)
    with view.context.catalog.read() as connection:
        (row,) = find_files(connection, view.session.tree_id, {image.file})
        stored = StoredFile.make(row, read_places(connection, view.session.tree_id)[row.resource_n])
    return _ask_file(view, stored.path, {**request, "frame": image.frame}, stored.sha256)


def _ask_file(view: ScanView, path: RelPath, request: DecoderRequest, content: object) -> DecoderResult:
    """Ask a decoder about one file; by its content it is known again where that killed one."""

    @contextlib.contextmanager
    def opened() -> Iterator[list[int]]:
        with _open_tree(view) as snapshot, _open_file(snapshot, path) as fd:
            yield [fd]

    try:
        return view.pictures.ask(request, opened, (request["verb"], content, request.get("frame")), asker=view.asker)
    except FileNotFoundError:
        return DecoderResult(reason=MISSING, lasting=False)


def _no_image(view: ScanView, stack: Stack) -> DecoderResult:
    reason = stack.reasons[0][1] if stack.reasons else "The scan has no files."
    return DecoderResult(reason=reason, lasting=reason not in (BUSY, MISSING, NO_ROOM) and not view.damaged)


@contextlib.contextmanager
def _open_tree(view: ScanView) -> Iterator[Snapshot]:
    """A snapshot of the very tree. Usage `changed_meanwhile` where it was replaced just now."""
    record, snapshot = open_session_snapshot(view.context, view.session.uuid)
    with snapshot:
        if record.tree_id != view.session.tree_id:
            raise ChangedMeanwhile("The session has just changed.", "Load it anew.")
        yield snapshot


@contextlib.contextmanager
def _open_files(
    snapshot: Snapshot, files: Sequence[StoredFile], streams: list[tuple[StoredFile, int]]
) -> Iterator[list[int]]:
    """The descriptors of files, those that are not there left out; `streams` has them with their files."""
    streams.clear()
    with contextlib.ExitStack() as exits:
        for stored in files:
            with contextlib.suppress(FileNotFoundError):
                streams.append((stored, descriptor_of(exits.enter_context(snapshot.open(stored.path)), exits)))
        yield [fd for _, fd in streams]


@contextlib.contextmanager
def _open_file(snapshot: Snapshot, path: RelPath) -> Iterator[int]:
    with contextlib.ExitStack() as exits:
        yield descriptor_of(exits.enter_context(snapshot.open(path)), exits)


def descriptor_of(stream: IO[bytes], exits: contextlib.ExitStack) -> int:
    """A descriptor of an open file; of one that has none (a store elsewhere), of a copy in memory."""
    try:
        return stream.fileno()
    except OSError:
        fd = os.memfd_create("scandock-picture")
        exits.callback(os.close, fd)
        while chunk := stream.read(1024 * 1024):
            os.write(fd, chunk)
        return fd
