"""Objects in Explicit VR Little Endian: which of them can be converted is known before an answer begins.

Each that is not known to be convertible is tried. What a trial makes is kept for the answer as long as it is little, so
that few objects are converted twice.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Final

from scandock.services.decoding import DecoderResult
from scandock.services.dicomweb_errors import NotConvertible
from scandock.services.dicomweb_frames import EXPLICIT, ask_decoder, body_of, is_convertible
from scandock.services.dicomweb_objects import FoundObject, ObjectReader
from scandock.services.response_buffers import BufferReservation, ResponseBuffersFull
from scandock.viewing.dicom_file import NATIVE

KEPT_BYTES: Final = 16 * 1024**2
"""Of what the trials of one answer made; once there is so much, objects are tried and nothing is kept."""
TRIAL_SECONDS: Final = 10.0
"""For all trials of an answer: clients and proxies wait for its first byte."""
_BATCH: Final = 50
"""Objects that are tried by one question, where their pixels need no decoding."""
REMEDY: Final = "Accept them with transfer-syntax=*, as they are stored."


class Conversion:
    """The objects of a reader, converted one by one while they are sent; what can't be converted is left out of it."""

    def __init__(self, reader: ObjectReader, syntaxes: Sequence[str]) -> None:
        """Try them, within `Pictures.work`. `syntaxes` are those of the reader's objects.

        NotConvertible where none can be converted. DecodersOccupied.
        """
        self._reader = reader
        self._syntaxes = {found.version: syntax for found, syntax in zip(reader.objects, syntaxes, strict=True)}
        self._kept: dict[str, tuple[DecoderResult, BufferReservation | None]] = {}
        self._kept_bytes = 0
        self._untried: set[str] = set()
        reader.on_close(self._close)
        self._try_all()

    @property
    def untried(self) -> int:
        """Objects for whose trial there was no time: those that can't be converted are left out while they are sent."""
        return len(self._untried)

    def parts(self) -> Iterator[Iterator[bytes]]:
        """The objects. Not within `Pictures.work`."""
        for found in self._reader.objects:
            if self._syntaxes[found.version] == EXPLICIT:
                yield self._reader.chunks(found)
            elif found.version in self._kept:
                yield self._reader.each(found, body_of(self._kept[found.version][0]))
                self._release(found.version)
            elif (made := self._convert(found)) is not None:
                yield self._reader.each(found, body_of(made))

    def _convert(self, found: FoundObject) -> DecoderResult | None:
        """An object that was tried before; of one that was not, None where it can't be converted."""
        try:
            return self._reader.pictures.work(lambda: ask_decoder(self._reader, found, {"verb": "explicit"}))
        except NotConvertible:
            if found.version not in self._untried:
                raise
            return None

    # -- trials ----------------------------------------------------------------------------------------------------

    def _try_all(self) -> None:
        reader, known = self._reader, self._reader.cache.conversions
        deadline = time.monotonic() + TRIAL_SECONDS
        failed = self._try_plain(deadline)
        left: list[FoundObject] = []
        for found in reader.objects:
            syntax = self._syntaxes[found.version]
            if syntax == EXPLICIT or found.version in known:
                left.append(found)
            elif not is_convertible(syntax):
                failed.setdefault(found.version, "Films are not decoded.")
            elif found.version in failed:
                continue
            elif left and time.monotonic() >= deadline:
                self._untried.add(found.version)
                left.append(found)
            elif reason := self._try_one(found):
                failed[found.version] = reason
            else:
                left.append(found)
        if not left:
            raise NotConvertible(next(iter(failed.values())), REMEDY)
        reader.objects = left
        first = left[0]
        if self._syntaxes[first.version] != EXPLICIT and first.version not in self._kept:
            self._keep(first, ask_decoder(reader, first, {"verb": "explicit"}))  # what is in the way is told at once

    def _try_plain(self, deadline: float) -> dict[str, str]:
        """Try what is not compressed, many objects by one question; why some can't be converted, by version."""
        reader, known = self._reader, self._reader.cache.conversions
        plain = [found for found in reader.objects if self._syntaxes[found.version] in NATIVE - {EXPLICIT}]
        plain = [found for found in plain if found.version not in known]
        failed: dict[str, str] = {}
        for at in range(0, len(plain) if len(plain) > 1 else 0, _BATCH):
            if time.monotonic() >= deadline:
                break
            batch = plain[at : at + _BATCH]
            # What a question about many can't answer is asked of each.
            with contextlib.suppress(NotConvertible, FileNotFoundError):
                for found, reason in zip(batch, _ask_reasons(reader, batch), strict=False):
                    if reason:
                        failed[found.version] = reason
                    else:
                        known.add(found.version)
        return failed

    def _try_one(self, found: FoundObject) -> str:
        """Try an object, and keep what is made of it as long as it is little; why it can't be, "" where it can."""
        keeps = self._kept_bytes < KEPT_BYTES
        try:
            if keeps:
                self._keep(found, ask_decoder(self._reader, found, {"verb": "explicit"}))
            elif reason := "".join(_ask_reasons(self._reader, [found])):
                return reason
        except NotConvertible as error:
            return error.message
        except FileNotFoundError:
            return "Its file is missing."
        self._reader.cache.conversions.add(found.version)
        return ""

    def _keep(self, found: FoundObject, result: DecoderResult) -> None:
        reservation = None
        size = len(result.body)
        if result.file is not None:
            size = result.file.size
        else:
            try:
                reservation = self._reader.pictures.held.hold(self._reader.asker.who, size)
            except ResponseBuffersFull:
                return
        self._kept[found.version] = result, reservation
        self._kept_bytes += size

    def _release(self, version: str) -> None:
        result, reservation = self._kept.pop(version)
        if result.file is not None:
            result.file.close()
        if reservation is not None:
            reservation.close()

    def _close(self) -> None:
        for version in list(self._kept):
            self._release(version)


def _ask_reasons(reader: ObjectReader, objects: Sequence[FoundObject]) -> list[str]:
    """Why each of some objects can't be converted, "" where it can. NotConvertible where a decoder tells of none."""
    result = ask_decoder(reader, objects[0], {"verb": "convertible"}, len(objects), others=objects[1:])
    reasons = result.said.get("reasons")
    if not isinstance(reasons, list) or len(reasons) != len(objects):  # a decoder may be anybody's by now
        raise NotConvertible("It can't be decoded: decoding it failed.", REMEDY)
    return [str(reason) for reason in reasons]
