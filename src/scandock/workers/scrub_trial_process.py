"""A process that tries de-identification rules on one file at a time, in memory, for people who write them.

Started as `python -m scandock.workers.scrub_trial_process PARENT FD`. It dies with its parent, has a bound on memory,
and what takes too long is killed (`scrub_trial.ScrubTrials`). What it runs is what imports run.
"""

from __future__ import annotations

import io
import logging
import marshal
import os
import resource
import socket
import sys
import time
import warnings
import zlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from scandock.deidentification.data_set import EditedPixels, Range, tag_text
from scandock.deidentification.errors import ScrubError
from scandock.deidentification.parsing import parse
from scandock.deidentification.scrub import Context, Rejected, Scrubbed, scrub
from scandock.deidentification.texts import BINARY
from scandock.formats.ecat import looks_like_ecat
from scandock.model.errors import ScandockError
from scandock.model.process import confine
from scandock.model.tags import PIXEL_DATA
from scandock.rules.privacy import PrivacyRules
from scandock.viewing.decoder_messages import Message, receive, send
from scandock.viewing.frames import NotViewable
from scandock.viewing.header_rows import read_header_rows, shorten
from scandock.workers.pixel_decoding import PixelDecoding
from scandock.workers.scrub_task import parse_privacy_rules

if TYPE_CHECKING:
    from scandock.deidentification.data_set import DataSet, DicomObject

MEMORY_BYTES: Final = 2 * 1024**3
MOST_ROWS: Final = 5_000
MOST_READ: Final = 400_000
"""Elements that are looked at for the effects of all statements; those of later statements are not told."""
MOST_ECHOED: Final = 200
MOST_EFFECTS: Final = 200
_PIECE: Final = 4096
_NOT_TEXT: Final = (BINARY | {"UN"}) - {"US", "UL", "SS", "SL", "FL", "FD", "AT", "UV", "SV"}

Rows = dict[str, tuple[str, str, object]]
"""By the path of an element: its VR, its value as text, and what tells whether it is another one."""


def main(parent: int, fd: int) -> None:
    """Answer until the other end is closed."""
    confine(parent, "scrub-trial", oom=700, limits={resource.RLIMIT_AS: MEMORY_BYTES, resource.RLIMIT_CORE: 0})
    warnings.simplefilter("ignore")  # what libraries say of headers goes nowhere
    logging.disable(logging.CRITICAL)
    decoding = PixelDecoding()
    end = socket.socket(fileno=fd)
    while (message := receive(end)) is not None:
        try:
            answer = answer_message(message, decoding)
        finally:
            message.close()
        send(end, answer)
        if answer.get("spent"):
            break
    decoding.close()


def answer_message(message: Message, decoding: PixelDecoding) -> Mapping[str, object]:
    """What became of the file; `spent` where memory ran out."""
    rules_fd, file_fd = message.files
    try:
        plain: tuple[Any, ...] = marshal.loads(_read_all(rules_fd))  # noqa: S302  plain values from our own parent
        return try_rules(PrivacyRules.from_plain(plain), message.said["variables"], _read_all(file_fd), decoding)
    except MemoryError:
        return {"outcome": "failed", "message": "Trying it takes more memory than it is given.", "spent": True}
    except ScandockError as error:  # the rules can't be read; a script that is typed was read before
        return {"outcome": "failed", "message": error.message}
    except Exception as error:  # noqa: BLE001  a file of a stranger's may bring up anything
        return {"outcome": "failed", "message": f"An unexpected error ({type(error).__name__})."}


def try_rules(
    privacy: PrivacyRules, variables: Mapping[str, str], data: bytes, decoding: PixelDecoding | None = None
) -> Mapping[str, object]:
    """De-identify a file as an import would; what became of it, statement by statement and row by row."""
    before = _read_rows(data)
    key, rules = parse_privacy_rules(privacy)
    watch = _Watch()
    context = Context(key=key, variables=variables, decode_pixels=decoding, watch=watch)
    began = time.monotonic()
    result = scrub(data, rules=rules, context=context)
    seconds = time.monotonic() - began - watch.spent
    answer: dict[str, object] = {
        "statements": watch.statements,
        "milliseconds": round(seconds * 1000, 1),
        "warnings": [],
        "rows": [],
        "code": "",
        "message": "",
    }
    if isinstance(result, Scrubbed):
        after = _read_rows(_join(result, data))
        answer["outcome"] = "scrubbed"
        answer["warnings"] = [{"code": one.code, "message": one.message} for one in result.warnings]
        answer["rows"] = _compare(before, after)
        return answer
    answer["outcome"] = "rejected" if isinstance(result, Rejected) else "failed"
    answer["code"], answer["message"] = result.code, result.message
    return answer


class _Watch:
    """Notes what each statement does to the object."""

    def __init__(self) -> None:
        self.statements: list[dict[str, object]] = []
        self.spent = 0.0
        self._rows: Rows | None = None
        self._object: DicomObject | None = None
        self._echoed: list[str] = []
        self._read = 0

    def echo(self, text: str | None) -> None:
        if len(self._echoed) < MOST_ECHOED:
            self._echoed.append("(no value)" if text is None else shorten(text))

    def ran(self, obj: DicomObject, script: str, line: int) -> None:
        began = time.monotonic()
        if self._object is not obj:
            self._object, self._rows = obj, None
        before = self._rows if self._rows is not None else _object_rows(parse(obj.original))
        effects: list[dict[str, str]] | None = None
        if self._read < MOST_READ:
            self._rows = _object_rows(obj)
            self._read += len(self._rows)
            effects = [row for row in _compare(before, self._rows) if row["change"] != "same"][:MOST_EFFECTS]
        self.statements.append({"script": script, "line": line, "effects": effects, "echo": self._echoed})
        self._echoed = []
        self.spent += time.monotonic() - began


def _read_rows(data: bytes) -> Rows:
    """The rows of a file; none of one that can't be read, of which the scrub says why."""
    if looks_like_ecat(data):
        return _ecat_rows(data)
    try:
        return _object_rows(parse(data))
    except ScrubError:
        return {}


def _ecat_rows(data: bytes) -> Rows:
    fd = os.memfd_create("scandock-ecat")
    rows: Rows = {}
    part = ""
    with io.FileIO(fd, "r+") as stream:
        stream.write(data)
        stream.seek(0)
        try:
            listed, _ = read_header_rows(stream)
        except NotViewable:
            return {}
    for depth, _, name, vr, value in listed:
        if depth == 0:
            part = name
        else:
            rows[f"{part}: {name}"] = (vr, value, value)
    return rows


def _object_rows(obj: DicomObject) -> Rows:
    rows: Rows = {}
    for data_set in (obj.data,) if obj.meta is None else (obj.meta, obj.data):
        for path, row in _walk(data_set, ""):
            rows[path] = row
            if len(rows) >= MOST_ROWS:
                return rows
    return rows


def _walk(data_set: DataSet, prefix: str) -> Iterator[tuple[str, tuple[str, str, object]]]:
    for tag in sorted(data_set.tags()):
        path = f"{prefix}{tag_text(tag)}"
        vr = data_set.vr(tag)
        if tag in PIXEL_DATA and not prefix:
            size = data_set.size(tag)
            yield path, (vr, _format_size(size), size)
            continue
        try:
            items = data_set.items(tag)
        except ScrubError:
            items = None
        if items is not None:
            count = len(items)
            yield path, (vr, f"{count} item{'' if count == 1 else 's'}", count)
            for number, item in enumerate(items):
                yield from _walk(item, f"{path}[{number}]/")
            continue
        value = bytes(data_set.value(tag))
        told = value if len(value) <= _PIECE else (len(value), zlib.crc32(value))
        yield path, (vr, _show(data_set, tag, vr, value), told)


def _show(data_set: DataSet, tag: int, vr: str, value: bytes) -> str:
    if vr in _NOT_TEXT:
        plain = value.rstrip(b"\0 ")
        short = vr == "UN" and len(plain) <= 64 and plain.isascii() and plain.decode("ascii").isprintable()
        return plain.decode("ascii") if short else _format_size(len(value))
    try:
        return shorten(data_set.text(tag) or "")
    except ScrubError:
        return _format_size(len(value))


def _format_size(count: int) -> str:
    return f"{count:,} byte{'' if count == 1 else 's'}"


def _compare(before: Rows, after: Rows) -> list[dict[str, str]]:
    """The rows of both, in the order of their paths."""
    rows = []
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old is None:
            change = "added"
        elif new is None:
            change = "removed"
        else:
            change = "same" if old[2] == new[2] else "changed"
        vr = (new or old or ("",))[0]
        rows.append({
            "path": path,
            "name": _name(path),
            "vr": vr,
            "before": "" if old is None else old[1],
            "after": "" if new is None else new[1],
            "change": change,
        })  # fmt: skip
    return rows


def _name(path: str) -> str:
    """The keyword of the last element of a path; "" where the dictionary has none."""
    from pydicom.datadict import keyword_for_tag

    last = path.rpartition("/")[2]
    if not last.startswith("("):
        return ""
    return str(keyword_for_tag(int(last[1:5] + last[6:10], 16)))


def _join(result: Scrubbed, data: bytes) -> bytes:
    view = memoryview(data)
    pieces: list[bytes | memoryview] = []
    for part in result.parts:
        if isinstance(part, Range):
            pieces.append(view[part.start : part.end])
        elif isinstance(part, EditedPixels):
            pieces.append(bytes(part))
        else:
            pieces.append(part)
    return b"".join(pieces)


def _read_all(fd: int) -> bytes:
    size = os.fstat(fd).st_size
    data = b""
    while len(data) < size and (more := os.pread(fd, size - len(data), len(data))):
        data += more
    return data


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
