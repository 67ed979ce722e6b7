"""Compressed pixels decoded for scripts that alter them: in a process with a bound on memory and time, and no files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from scandock.store.durability import write_all

if TYPE_CHECKING:
    from scandock.deidentification.data_set import DicomObject
    from scandock.deidentification.pixel_areas import DecodedPixels
    from scandock.viewing.decoder_pool import DecoderPool

_SECONDS: Final = 60.0
"""What one object may take."""
_MOST: Final = 512 * 1024**2
"""Bytes of an object, and of its decoded pixels (`decoder_messages`)."""


class PixelDecoding:
    """Decoders, the first of which is started when an object needs it."""

    def __init__(self) -> None:
        self._pool: DecoderPool | None = None

    def __call__(self, obj: DicomObject) -> DecodedPixels | None:
        """The pixels that an object had when it was read, decoded; None where that can't be."""
        if obj.pixels is None or obj.pixels.place.end > _MOST:
            return None
        from scandock.deidentification.pixel_areas import DecodedPixels
        from scandock.viewing.decoder_pool import DecoderLost, DecoderPool, DecodersBusy

        if self._pool is None:
            self._pool = DecoderPool(seconds=_SECONDS)
        try:
            answer = self._pool.ask({"verb": "frames"}, lambda: _as_file(obj))
        except (DecoderLost, DecodersBusy):
            return None
        said = answer.said
        bits, samples, photometric = said.get("bits_allocated"), said.get("samples"), said.get("photometric")
        if not isinstance(bits, int) or not isinstance(samples, int) or not isinstance(photometric, str):
            return None
        return DecodedPixels(data=answer.body, bits_allocated=bits, samples=samples, photometric=photometric)

    def close(self) -> None:
        """End the decoders."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None


@contextmanager
def _as_file(obj: DicomObject) -> Iterator[list[int]]:
    """The original object up to the end of its pixels, in a file without a name."""
    fd = os.memfd_create("scandock-object")
    try:
        if obj.whole:
            write_all(fd, obj.original)
        elif obj.pixels is not None:
            write_all(fd, memoryview(obj.original)[: obj.pixels.place.start])
            write_all(fd, obj.pixels.read())
        yield [fd]
    finally:
        os.close(fd)
