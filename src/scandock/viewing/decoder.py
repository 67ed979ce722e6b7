"""A decoder process: takes open files, gives back frames, pictures, places and headers.

Started as `python -m scandock.viewing.decoder PARENT FD`. It dies with its parent, has a bound on memory, writes no
file, and knows neither the database nor the names of what it reads.
"""

from __future__ import annotations

import gzip
import logging
import os
import resource
import socket
import sys
import warnings
from collections.abc import Callable
from typing import Any, BinaryIO, Final, cast

from scandock.viewing.exchange import Message, receive, send
from scandock.viewing.frames import Frame, NoPicture, Window, cause, to_16_bits

MEMORY_BYTES: Final = 2 * 1024**3
"""Address space of a decoder, of which its libraries take a third."""

Answer = tuple[dict[str, Any], bytes]


def main(parent: int, fd: int) -> None:
    """Answer until the other end is closed, or memory ran out: then a fresh process is better."""
    from scandock.model.process import confine

    # memory is bounded, nothing is written, no core is left behind
    bounds = {resource.RLIMIT_AS: MEMORY_BYTES, resource.RLIMIT_FSIZE: 0, resource.RLIMIT_CORE: 0}
    confine(parent, "decoder", oom=700, limits=bounds)
    warnings.simplefilter("ignore")  # what libraries say of headers goes nowhere
    logging.disable(logging.CRITICAL)
    end = socket.socket(fileno=fd)
    while (asked := receive(end)) is not None:
        try:
            said, body = answer(asked)
        finally:
            asked.close()
        send(end, said, body)
        if said.get("spent"):
            return


def answer(asked: Message) -> Answer:
    """What is answered to a message; what can't be done is a `reason`, whatever it is."""
    try:
        return VERBS[asked.said["verb"]](asked)
    except NoPicture as reason:
        return {"reason": str(reason)}, b""
    except MemoryError:
        return {"reason": "Decoding it takes more memory than a picture is given.", "spent": True}, b""
    except RecursionError:
        return {"reason": "Its header is nested too deeply."}, b""
    except Exception as error:  # noqa: BLE001  a file of a stranger's may bring up anything in any library
        said = cause(error)
        return {"reason": f"It could not be decoded: {said or 'its header or its pixel data is damaged'}."}, b""


def _stream(fd: int) -> BinaryIO:
    """A reader that leaves the descriptor open; others may read the same file by theirs."""
    stream = cast("BinaryIO", os.fdopen(fd, "rb", closefd=False))
    stream.seek(0)
    return stream


def _frame_of(asked: Message) -> Frame:
    from scandock.viewing.imagery import frames_of

    return frames_of(_stream(asked.files[0])).frame(int(asked.said["frame"]))


def _places(asked: Message) -> Answer:
    """The images of each file, or the reason why it has none."""
    from scandock.viewing.places import images_of

    return {"files": [_images(images_of, fd) for fd in asked.files]}, b""


def _images(images_of: Callable[[BinaryIO], list[list[Any]]], fd: int) -> dict[str, Any]:
    try:
        return {"images": images_of(_stream(fd))}
    except NoPicture as reason:
        return {"reason": str(reason)}
    except (MemoryError, RecursionError):
        return {"reason": "Reading its header takes more than it is given."}
    except Exception as error:  # noqa: BLE001  one file shall not hide the others
        return {"reason": f"Its header can't be read: {cause(error) or 'it is damaged'}."}


def _raw(asked: Message) -> Answer:
    """A frame's numbers, gzipped where that is asked for, and what they mean; of a colour frame only that it is one."""
    from scandock.viewing.windows import automatic

    frame = _frame_of(asked)
    rows, columns = frame.pixels.shape[:2]
    said: dict[str, Any] = {"rows": rows, "columns": columns, "spacing": frame.spacing}
    if frame.colour:
        return {"kind": "colour", **said}, b""
    pixels, slope, intercept = to_16_bits(frame)
    own = automatic(frame)
    said |= {
        "kind": "grey",
        "signed": pixels.dtype.kind == "i",
        "slope": slope,
        "intercept": intercept,
        "unit": frame.unit,
        "invert": frame.invert,
        "windows": [_window(one) for one in frame.windows],
        "automatic": _window(own),
        "low": float(pixels.min()) * slope + intercept,
        "high": float(pixels.max()) * slope + intercept,
    }
    little = pixels.astype(pixels.dtype.newbyteorder("<"), copy=False)
    body = little.tobytes()
    return said, gzip.compress(body, 1, mtime=0) if asked.said.get("packed") else body


def _window(window: Window) -> dict[str, Any]:
    return {
        "center": window.center, "width": window.width, "name": window.name, "function": window.function,
    }  # fmt: skip


def _picture(asked: Message) -> Answer:
    from scandock.viewing.pictures import picture

    said = asked.said
    window = Window(said["center"], said["width"]) if said.get("width") is not None else None
    return {"type": "image/png"}, picture(_frame_of(asked), window, said.get("size"))


def _thumbnail(asked: Message) -> Answer:
    from scandock.viewing.pictures import thumbnail

    return {"type": "image/webp"}, thumbnail(_frame_of(asked))


def _header(asked: Message) -> Answer:
    from scandock.viewing.header_rows import rows_of

    rows, note = rows_of(_stream(asked.files[0]))
    return {"rows": rows, "note": note}, b""


VERBS: Final[dict[str, Callable[[Message], Answer]]] = {
    "places": _places,
    "raw": _raw,
    "picture": _picture,
    "thumbnail": _thumbnail,
    "header": _header,
}

if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
