"""The data sets of storage commitment: what an N-ACTION asks for, what an N-EVENT-REPORT tells (PS3.4 annex J.3)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from scandock.dimse import uids
from scandock.dimse.records import Answer, CommitmentResult, Status
from scandock.formats.dicom_encoding import ITEM, ITEM_END, LONG_VRS, SEQUENCE_END, UNDEFINED, Buffer

TRANSACTION: Final = 0x00081195
_FAILED: Final = 0x00081198
_REFERENCED: Final = 0x00081199
_REASON: Final = 0x00081197
_CLASS: Final = 0x00081150
_INSTANCE: Final = 0x00081155

ALL_KEPT: Final = 1
SOME_FAILED: Final = 2
"""Event types of an N-EVENT-REPORT."""

_DEEPEST: Final = 16
MAX_REFERENCES: Final = 100_000
"""Objects that one request asks for."""


class DataSetError(Exception):
    """A data set whose lengths do not add up, or that is nested too deeply."""


class CommitmentError(Exception):
    """A request for storage commitment that is none, and how it is answered."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.comment)
        self.answer = answer


def read_commitment(data: Buffer, transfer_syntax: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Transaction UID, and SOP class and instance of each reference. Raises CommitmentError with the answer."""
    reader = _Reader(data, transfer_syntax)
    transaction = ""
    references: list[tuple[str, str]] = []
    try:
        for tag, start, end in reader.elements(0, len(data), 0):
            if tag == TRANSACTION:
                transaction = reader.text(start, end)
            elif tag == _REFERENCED:
                for item_start, item_end in reader.items(start, end, 1):
                    values = {
                        tag: reader.text(at, to)
                        for tag, at, to in reader.elements(item_start, item_end, 2)
                        if tag in {_CLASS, _INSTANCE}
                    }
                    if len(references) >= MAX_REFERENCES:
                        why = f"More than {MAX_REFERENCES:,} references"
                        raise CommitmentError(Answer(Status.OUT_OF_RESOURCES, why, (_REFERENCED,)))
                    references.append((values.get(_CLASS, ""), values.get(_INSTANCE, "")))
    except DataSetError as error:
        raise CommitmentError(Answer(Status.PROCESSING_FAILURE, str(error))) from None
    if not uids.is_uid(transaction):
        why = "Transaction UID is no UID" if transaction else "Transaction UID is missing"
        raise CommitmentError(Answer(Status.INVALID_ARGUMENT, why, (TRANSACTION,)))
    if not references:
        raise CommitmentError(Answer(Status.INVALID_ARGUMENT, "Referenced SOP Sequence is empty", (_REFERENCED,)))
    if not all(uids.is_uid(text) for pair in references for text in pair):
        why = "a reference without SOP class or instance"
        raise CommitmentError(Answer(Status.INVALID_ARGUMENT, why, (_REFERENCED,)))
    return transaction, tuple(references)


class _Reader:
    def __init__(self, data: Buffer, transfer_syntax: str) -> None:
        self.data = data
        self.explicit = transfer_syntax != uids.IMPLICIT
        order = ">" if transfer_syntax == uids.ROOT + "1.2.2" else "<"
        self._tag = struct.Struct(order + "HH")
        self._short = struct.Struct(order + "H")
        self._length = struct.Struct(order + "I")

    def text(self, start: int, end: int) -> str:
        return bytes(self.data[start : min(end, start + 128)]).decode("ascii", "backslashreplace").strip("\0 ")

    def elements(self, at: int, end: int, depth: int) -> Iterator[tuple[int, int, int]]:
        """Number, start and end of each element's value, until `end` or an item's delimiter."""
        while at < end:
            tag, start, length = self._header(at, end)
            if tag == ITEM_END:
                return
            stop = self._end_of_sequence(start, end, depth + 1) if length == UNDEFINED else start + length
            if stop > end:
                raise DataSetError("an element goes on beyond the data set")
            yield tag, start, stop
            at = stop

    def items(self, at: int, end: int, depth: int) -> Iterator[tuple[int, int]]:
        """Start and end of each item of a sequence's value."""
        while at < end:
            tag, start, length = self._header(at, end)
            if tag == SEQUENCE_END:
                return
            if tag != ITEM:
                raise DataSetError("a sequence holds something else than items")
            stop = self._end_of_item(start, end, depth + 1) if length == UNDEFINED else start + length
            if stop > end:
                raise DataSetError("an item goes on beyond its sequence")
            yield start, stop
            at = stop

    def _header(self, at: int, end: int) -> tuple[int, int, int]:
        if at + 8 > end:
            raise DataSetError("the data set is cut off")
        group, element = self._tag.unpack_from(self.data, at)
        tag = group << 16 | element
        if self.explicit and group != 0xFFFE:
            if bytes(self.data[at + 4 : at + 6]) not in LONG_VRS:
                return tag, at + 8, self._short.unpack_from(self.data, at + 6)[0]
            if at + 12 > end:
                raise DataSetError("the data set is cut off")
            return tag, at + 12, self._length.unpack_from(self.data, at + 8)[0]
        return tag, at + 8, self._length.unpack_from(self.data, at + 4)[0]

    def _end_of_sequence(self, at: int, end: int, depth: int) -> int:
        if depth > _DEEPEST:
            raise DataSetError("the data set is nested too deeply")
        for _, at in self.items(at, end, depth):  # noqa: B007, B020, PLR1704 - where the last item ends
            pass
        tag, start, _ = self._header(at, end)
        if tag != SEQUENCE_END:
            raise DataSetError("a sequence does not end")
        return start

    def _end_of_item(self, at: int, end: int, depth: int) -> int:
        if depth > _DEEPEST:
            raise DataSetError("the data set is nested too deeply")
        for _, _, at in self.elements(at, end, depth):  # noqa: B007, B020, PLR1704 - where the last element ends
            pass
        tag, start, _ = self._header(at, end)
        if tag != ITEM_END:
            raise DataSetError("an item does not end")
        return start


def encode_result(result: CommitmentResult, transfer_syntax: str) -> bytes:
    """The data set of an N-EVENT-REPORT, in the context's (uncompressed) transfer syntax."""
    writer = _Writer(transfer_syntax)
    body = [writer.uid(TRANSACTION, result.transaction)]
    if result.failed:
        items = (
            writer.uid(_CLASS, sop_class) + writer.uid(_INSTANCE, instance) + writer.number(_REASON, reason)
            for sop_class, instance, reason in result.failed
        )
        body.append(writer.sequence(_FAILED, items))
    if result.kept:
        kept = (writer.uid(_CLASS, sop_class) + writer.uid(_INSTANCE, instance) for sop_class, instance in result.kept)
        body.append(writer.sequence(_REFERENCED, kept))
    return b"".join(body)


class _Writer:
    def __init__(self, transfer_syntax: str) -> None:
        self.explicit = transfer_syntax != uids.IMPLICIT
        self.order = ">" if transfer_syntax == uids.ROOT + "1.2.2" else "<"

    def uid(self, tag: int, value: str) -> bytes:
        data = value.encode("ascii")
        return self._element(tag, b"UI", data + b"\0" * (len(data) % 2))

    def number(self, tag: int, value: int) -> bytes:
        return self._element(tag, b"US", struct.pack(self.order + "H", value))

    def sequence(self, tag: int, items: Iterator[bytes]) -> bytes:
        start = struct.pack(self.order + "HH", 0xFFFE, 0xE000)
        data = b"".join(start + struct.pack(self.order + "I", len(item)) + item for item in items)
        return self._element(tag, b"SQ", data)

    def _element(self, tag: int, vr: bytes, value: bytes) -> bytes:
        head = struct.pack(self.order + "HH", tag >> 16, tag & 0xFFFF)
        if not self.explicit:
            return head + struct.pack(self.order + "I", len(value)) + value
        if vr == b"SQ":
            return head + vr + b"\0\0" + struct.pack(self.order + "I", len(value)) + value
        return head + vr + struct.pack(self.order + "H", len(value)) + value
