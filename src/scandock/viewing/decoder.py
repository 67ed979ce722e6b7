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
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, Final, TypedDict, cast

from scandock.model.readiness import wait_readable
from scandock.viewing.decoder_messages import Message, receive, send
from scandock.viewing.frames import Frame, NotViewable, Window, to_16_bits

MEMORY_BYTES: Final = 2 * 1024**3
"""Address space of a decoder, of which its libraries take a third."""

Answer = tuple[Mapping[str, object], bytes]


def main(parent: int, fd: int) -> None:
    """Answer until the other end is closed, or memory ran out: then a fresh process is better."""
    from scandock.model.process import confine

    # memory is bounded, nothing is written, no core is left behind
    bounds = {resource.RLIMIT_AS: MEMORY_BYTES, resource.RLIMIT_FSIZE: 0, resource.RLIMIT_CORE: 0}
    confine(parent, "decoder", oom=700, limits=bounds)
    warnings.simplefilter("ignore")  # what libraries say of headers goes nowhere
    logging.disable(logging.CRITICAL)
    sys.modules["requests"] = None  # type: ignore[assignment]  # pydicom would load it, for files of its own to download
    end = socket.socket(fileno=fd)
    if not wait_readable([fd], 0):  # nobody waits yet
        load_libraries()
    while (message := receive(end)) is not None:
        try:
            fields, body = answer_message(message)
        finally:
            message.close()
        send(end, fields, body)
        if fields.get("spent"):
            return


def load_libraries() -> None:
    """Load what most pictures need, so that whoever asks first does not wait for it."""
    from PIL import PngImagePlugin, WebPImagePlugin  # noqa: F401

    from scandock.viewing import dicom_frames, frame_positions, frame_sources, rendering, windows  # noqa: F401


def answer_message(message: Message) -> Answer:
    """What is answered to a message; what can't be done is a `reason`, whatever it is."""
    try:
        return VERBS[message.said["verb"]](message)
    except NotViewable as reason:
        return {"reason": str(reason)}, b""
    except MemoryError:
        return {"reason": "Decoding it takes more memory than a picture is given.", "spent": True}, b""
    except RecursionError:
        return {"reason": "Its header is nested too deeply."}, b""
    except Exception:  # noqa: BLE001  a file of a stranger's may bring up anything in any library
        return {"reason": "It can't be decoded: its header or its pixel data is damaged."}, b""


def _open_stream(fd: int) -> BinaryIO:
    """A reader that leaves the descriptor open; others may read the same file by theirs."""
    stream = cast("BinaryIO", os.fdopen(fd, "rb", closefd=False))
    stream.seek(0)
    return stream


def _decode_frame(message: Message) -> Frame:
    from scandock.viewing.frame_sources import open_frames

    return open_frames(_open_stream(message.files[0])).frame(int(message.said["frame"]))


def _places(message: Message) -> Answer:
    """The images of each file, or the reason why it has none."""
    from scandock.viewing.frame_positions import read_positions

    return {"files": [_images(read_positions, fd) for fd in message.files]}, b""


class ImagesJson(TypedDict, total=False):
    """The images of a file, or the reason why it has none."""

    images: list[list[Any]]
    reason: str


class WindowJson(TypedDict):
    """Which numbers are shown, from black to white."""

    center: float
    width: float
    name: str
    function: str


def _images(read_images: Callable[[BinaryIO], list[list[Any]]], fd: int) -> ImagesJson:
    try:
        return {"images": read_images(_open_stream(fd))}
    except NotViewable as reason:
        return {"reason": str(reason)}
    except (MemoryError, RecursionError):
        return {"reason": "Reading its header takes more than it is given."}
    except Exception:  # noqa: BLE001  one file shall not hide the others
        return {"reason": "Its header can't be read: it is damaged."}


def _raw(message: Message) -> Answer:
    """A frame's numbers, gzipped where that is asked for, and what they mean; of a color frame only that it is one."""
    from scandock.viewing.windows import automatic_window

    frame = _decode_frame(message)
    rows, columns = frame.pixels.shape[:2]
    fields: dict[str, object] = {
        "rows": rows, "columns": columns, "spacing": frame.spacing, "orientation": frame.orientation,
    }  # fmt: skip
    if frame.colour:
        return {"kind": "colour", **fields}, b""
    pixels, slope, intercept = to_16_bits(frame)
    own = automatic_window(frame)
    fields |= {
        "kind": "grey",
        "signed": pixels.dtype.kind == "i",
        "slope": slope,
        "intercept": intercept,
        "unit": frame.unit,
        "invert": frame.invert,
        "windows": [_window(window) for window in frame.windows],
        "automatic": _window(own),
        "low": float(pixels.min()) * slope + intercept,
        "high": float(pixels.max()) * slope + intercept,
    }
    little = pixels.astype(pixels.dtype.newbyteorder("<"), copy=False)
    body = little.tobytes()
    return fields, gzip.compress(body, 1, mtime=0) if message.said.get("packed") else body


def _window(window: Window) -> WindowJson:
    return {
        "center": window.center, "width": window.width, "name": window.name, "function": window.function,
    }  # fmt: skip


def _picture(message: Message) -> Answer:
    from scandock.viewing.rendering import render_picture

    fields = message.said
    window = Window(fields["center"], fields["width"]) if fields.get("width") is not None else None
    return {"type": "image/png"}, render_picture(_decode_frame(message), window, fields.get("size"))


def _thumbnail(message: Message) -> Answer:
    from scandock.viewing.rendering import render_thumbnail

    return {"type": "image/webp"}, render_thumbnail(_decode_frame(message))


def _header(message: Message) -> Answer:
    from scandock.viewing.header_rows import read_header_rows

    rows, note = read_header_rows(_open_stream(message.files[0]))
    return {"rows": rows, "note": note}, b""


def _frames(message: Message) -> Answer:
    """All frames of a file, as they were before they were compressed."""
    from scandock.viewing.dicom_file import open_dicom
    from scandock.viewing.dicom_pixels import decode_all

    decoded = decode_all(open_dicom(_open_stream(message.files[0])))
    fields = {
        "bits_allocated": decoded.bits_allocated, "samples": decoded.samples, "photometric": decoded.photometric,
    }  # fmt: skip
    return fields, decoded.data


def _objects(message: Message) -> Answer:
    """The metadata of each file as JSON, one behind the other and compressed, and where its frames stand.

    Of so many files as come to `ENOUGH_BYTES`; `objects` says of how many, at least of one.
    """
    from scandock.viewing.metadata import describe_objects

    described, body = describe_objects([_open_stream(fd) for fd in message.files])
    return {"objects": described}, body


def _native(message: Message) -> Answer:
    """A frame's bytes as they would be stored without compression, in little endian."""
    from scandock.viewing.dicom_file import open_dicom
    from scandock.viewing.dicom_pixels import decode_native

    return {}, decode_native(open_dicom(_open_stream(message.files[0])), int(message.said["frame"]))


def _stored(message: Message) -> Answer:
    """A compressed frame as it is stored, its fragments joined."""
    from scandock.viewing.frame_places import join_frame

    return {}, join_frame(_open_stream(message.files[0]), int(message.said["frame"]))


def _explicit(message: Message) -> Answer:
    """A copy of an object in Explicit VR Little Endian."""
    from scandock.viewing.explicit_copy import copy_explicit

    return {}, copy_explicit(_open_stream(message.files[0]))


def _convertible(message: Message) -> Answer:
    """Why each file has no copy in Explicit VR Little Endian; "" where it has one."""
    from scandock.viewing.explicit_copy import check_explicit

    return {"reasons": [_reason(check_explicit, fd) for fd in message.files]}, b""


def _reason(check: Callable[[BinaryIO], None], fd: int) -> str:
    try:
        check(_open_stream(fd))
    except NotViewable as reason:
        return str(reason)
    except MemoryError:
        raise
    except RecursionError:
        return "Its header is nested too deeply."
    except Exception:  # noqa: BLE001  one file shall not hide the others
        return "It can't be decoded: its header or its pixel data is damaged."
    return ""


def _rendered(message: Message) -> Answer:
    """A frame as a picture of the type that is asked for."""
    from scandock.viewing.dicom_file import open_dicom
    from scandock.viewing.dicom_frames import DicomFrames
    from scandock.viewing.rendering import render_jpeg, render_png_within

    said = message.said
    window = None
    if said.get("width") is not None:
        window = Window(said["center"], said["width"], "", str(said.get("function") or "linear"))
    size = said.get("viewport")
    viewport = (int(size[0]), int(size[1])) if size else None
    frame = DicomFrames(open_dicom(_open_stream(message.files[0])), whole=True).frame(int(said["frame"]))
    if said["media_type"] == "image/png":
        return {}, render_png_within(frame, window, viewport)
    return {}, render_jpeg(frame, window, viewport, int(said.get("quality") or 90))


def _bulk(message: Message) -> Answer:
    """The value of an element, in little endian."""
    from scandock.viewing.object_reading import read_bulk_data

    return {}, read_bulk_data(_open_stream(message.files[0]), [int(number) for number in message.said["path"]])


VERBS: Final[dict[str, Callable[[Message], Answer]]] = {
    "places": _places,
    "raw": _raw,
    "picture": _picture,
    "thumbnail": _thumbnail,
    "header": _header,
    "frames": _frames,
    "objects": _objects,
    "native": _native,
    "stored": _stored,
    "explicit": _explicit,
    "convertible": _convertible,
    "rendered": _rendered,
    "bulk": _bulk,
}

if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
