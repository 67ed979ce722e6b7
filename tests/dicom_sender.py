"""A sender of DICOM objects for tests: it does what it is told, and says what was acknowledged.

Its PDUs are put together here, so that it starts at once and can stop anywhere; what real senders do, storescu and
others show.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Self

from scandock.formats.dicom_header import read_header

EXPLICIT = "1.2.840.10008.1.2.1"
MR = "1.2.840.10008.5.1.4.1.1.4"
PDU_BYTES = 32 * 1024


class RejectedError(Exception):
    """The association was rejected: result, source and reason."""


class DicomSender:
    """One association; `with DicomSender(port) as sender` releases it."""

    def __init__(
        self,
        port: int,
        *,
        called: str = "SCANDOCK",
        calling: str = "SENDER",
        classes: Sequence[str] = (MR,),
        syntax: str = EXPLICIT,
        window: int | None = None,
        address: str = "127.0.0.1",
    ) -> None:
        """`window`: asks for so many outstanding objects; 0 for any number. Raises RejectedError."""
        self._contexts = {sop_class: 2 * number + 1 for number, sop_class in enumerate(classes)}
        self._message = 0
        self._socket = socket.create_connection(("127.0.0.1", port), 30, source_address=(address, 0))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = self._socket.makefile("rb")
        try:
            self._socket.sendall(_associate(called, calling, self._contexts, syntax, window))
            kind, body = self.read_pdu()
            if kind == 3:
                raise RejectedError(body[1], body[2], body[3])
            assert kind == 2
        except BaseException:
            self.close()
            raise

    def send(self, *objects: bytes) -> list[int]:
        """Send files of objects one after the other; the status of each."""
        statuses = []
        for raw in objects:
            self.begin(raw)
            statuses.append(self.answer())
        return statuses

    def send_at_once(self, objects: Iterable[bytes]) -> list[int]:
        """Send all, then read the answers."""
        count = 0
        for raw in objects:
            self.begin(raw)
            count += 1
        return [self.answer() for _ in range(count)]

    def begin(self, raw: bytes) -> None:
        """Send an object, and leave its answer to be read."""
        self._socket.sendall(b"".join(self.pdus_of(raw)))

    def pdus_of(self, raw: bytes) -> Iterator[bytes]:
        """What is sent of an object."""
        header = read_header(raw, len(raw), frozenset({0x00080016}))
        sop_class = header.values[0x00080016].decode().strip("\0 ")
        self._message += 1
        yield from self.store(sop_class, header.sop_uid, raw[header.dataset_at :])

    def store(self, sop_class: str, instance: str, data: bytes) -> Iterator[bytes]:
        """A C-STORE with a command that says what it is told to."""
        context = self._contexts.get(sop_class) or next(iter(self._contexts.values()))
        command = _command(
            (0x0002, _padded(sop_class)),
            (0x0100, struct.pack("<H", 1)),
            (0x0110, struct.pack("<H", self._message % 65_536)),
            (0x0700, struct.pack("<H", 0)),
            (0x0800, struct.pack("<H", 0)),
            (0x1000, _padded(instance)),
        )
        yield _data_pdu(context, 3, command)
        for at in range(0, len(data), PDU_BYTES):
            is_last = at + PDU_BYTES >= len(data)
            yield _data_pdu(context, 2 * is_last, data[at : at + PDU_BYTES])

    def send_raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._socket.sendall(data)

    def answer(self) -> int:
        """The status of the next answer. ConnectionError where the other side has ended the association."""
        kind, body = self.read_pdu()
        if kind != 4:
            raise ConnectionAbortedError(f"a PDU of type {kind}")
        command, at = body[6:], 0
        while at < len(command):
            element, length = struct.unpack_from("<HI", command, at + 2)
            if element == 0x0900:
                return int(struct.unpack_from("<H", command, at + 8)[0])
            at += 8 + length
        raise AssertionError("an answer without a status")

    def read_pdu(self) -> tuple[int, bytes]:
        """Type and body of the next PDU. ConnectionError at the end."""
        head = self._reader.read(6)
        if len(head) < 6:
            raise ConnectionResetError("the other side has closed the connection")
        body = self._reader.read(int.from_bytes(head[2:], "big"))
        return head[0], body

    def release(self) -> None:
        """End the association as it should be."""
        self._socket.sendall(bytes([5, 0, 0, 0, 0, 4, 0, 0, 0, 0]))
        assert self.read_pdu()[0] == 6
        self.close()

    def abort(self) -> None:
        self._socket.sendall(bytes([7, 0, 0, 0, 0, 4, 0, 0, 0, 0]))
        self.close()

    def close(self) -> None:
        """Close the connection without a word."""
        self._reader.close()
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and self._socket.fileno() >= 0:
            self.release()
        else:
            with contextlib.suppress(OSError):
                self.close()


def _padded(text: str) -> bytes:
    data = text.encode()
    return data + b"\0" * (len(data) % 2)


def _command(*elements: tuple[int, bytes]) -> bytes:
    body = b"".join(struct.pack("<HHI", 0, element, len(value)) + value for element, value in elements)
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def _data_pdu(context: int, flags: int, data: bytes) -> bytes:
    return struct.pack(">BBIIBB", 4, 0, len(data) + 6, len(data) + 2, context, flags) + data


def _item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(body)) + body


def _associate(called: str, calling: str, contexts: dict[str, int], syntax: str, window: int | None) -> bytes:
    items = _item(0x10, b"1.2.840.10008.3.1.1.1")
    for sop_class, number in contexts.items():
        syntaxes = _item(0x30, sop_class.encode()) + _item(0x40, syntax.encode())
        items += _item(0x20, bytes([number, 0, 0, 0]) + syntaxes)
    user = _item(0x51, struct.pack(">I", 16_384)) + _item(0x52, b"1.2.3.4")
    if window is not None:
        user += _item(0x53, struct.pack(">HH", window, 1))
    items += _item(0x50, user)
    body = struct.pack(">HH16s16s", 1, 0, called.ljust(16).encode(), calling.ljust(16).encode()) + bytes(32) + items
    return struct.pack(">BBI", 1, 0, len(body)) + body
