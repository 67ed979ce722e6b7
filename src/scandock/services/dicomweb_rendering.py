"""Pictures of objects (PS3.18 8.3.5, 10.4.1.1.3): through a window, within a viewport, as JPEG or PNG."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from scandock.model.dataclass import dataclass
from scandock.model.request_errors import RequestInvalid
from scandock.services.decoding import DecoderResult
from scandock.services.dicomweb_errors import NotConvertible, PartUnknown
from scandock.services.dicomweb_frames import ask_decoder
from scandock.services.dicomweb_objects import FoundObject, ObjectReader
from scandock.viewing.decoder_messages import DecoderRequest

THUMBNAIL: Final = (256, 256)
MAX_SIDE: Final = 4096
TRIES: Final = 4
"""Objects of a series that are tried for its picture."""
QUALITY: Final = 90
FUNCTIONS: Final = {"linear": "linear", "linear-exact": "linear_exact", "sigmoid": "sigmoid"}
_NO_IMAGE: Final = "There is no image in it."
_FIGURE: Final = re.compile(r"-?\d{1,12}(\.\d{1,12})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderingRequest:
    """How a picture is to be made."""

    viewport: tuple[int, int] | None = None
    window: tuple[float, float, str] | None = None
    """Center, width and function."""
    quality: int = QUALITY


def parse_rendering(viewport: str, window: str, quality: str) -> RenderingRequest:
    """What the query asks for; "" where it says nothing. RequestInvalid."""
    return RenderingRequest(
        viewport=_viewport(viewport) if viewport else None,
        window=_window(window) if window else None,
        quality=_number(quality, "quality", 100) if quality else QUALITY,
    )


def make_thumbnail_request(request: RenderingRequest) -> RenderingRequest:
    """The same of at most a thumbnail's size."""
    wide, high = request.viewport or THUMBNAIL
    return replace(request, viewport=(min(wide, THUMBNAIL[0]), min(high, THUMBNAIL[1])))


def _viewport(text: str) -> tuple[int, int]:
    pieces = text.split(",")
    if len(pieces) != 2:
        raise RequestInvalid("The viewport is not a width and a height.", "Name both, as viewport=512,512.")
    return _number(pieces[0], "viewport", MAX_SIDE), _number(pieces[1], "viewport", MAX_SIDE)


def _number(text: str, name: str, most: int) -> int:
    if not re.fullmatch(r"\d{1,9}", text.strip()) or not 1 <= int(text) <= most:
        raise RequestInvalid(f"{name} has to be a whole number from 1 to {most}.", "Correct it.")
    return int(text)


def _window(text: str) -> tuple[float, float, str]:
    center, width, function = [*(piece.strip() for piece in text.split(",")), "", "", ""][:3]
    function = function.lower() or "linear"
    known = _FIGURE.fullmatch(center) and _FIGURE.fullmatch(width) and function in FUNCTIONS
    if not known or float(width) <= 0:
        raise RequestInvalid(
            "The window is not a center, a width above 0 and a function.",
            f"Name them, as window=40,400,linear; functions are {', '.join(FUNCTIONS)}.",
        )
    return float(center), float(width), FUNCTIONS[function]


def render_frame(
    reader: ObjectReader, found: FoundObject, number: int, request: RenderingRequest, media_type: str
) -> DecoderResult:
    """A picture of a frame, from 0; within `Pictures.work`. DecodersOccupied, NotConvertible."""
    asked: DecoderRequest = {
        "verb": "rendered", "frame": number, "media_type": media_type, "quality": request.quality,
        "viewport": [*request.viewport] if request.viewport is not None else None,
    }  # fmt: skip
    if request.window is not None:
        asked["center"], asked["width"], asked["function"] = request.window
    return ask_decoder(reader, found, asked, number, media_type, request)


def find_pictured(reader: ObjectReader) -> list[FoundObject]:
    """The objects that are tried for a picture of them all: in the middle of the first series with images, and beside.

    PartUnknown where none has an image.
    """
    images = [found for found in reader.objects if found.stored.frames > 0]
    if not images:
        raise PartUnknown(_NO_IMAGE, "Ask for its metadata.")
    first = images[0].stored.series_uid
    images = [found for found in images if found.stored.series_uid == first]
    middle = len(images) // 2
    return sorted(images, key=lambda found: abs(images.index(found) - middle))[:TRIES]


def render_middle(reader: ObjectReader, request: RenderingRequest, media_type: str) -> DecoderResult:
    """A picture of the image in the middle, or of one near it where that can't be shown; within `Pictures.work`."""
    error: NotConvertible | PartUnknown | None = None
    for found in find_pictured(reader):
        try:
            return render_frame(reader, found, found.stored.frames // 2, request, media_type)
        except NotConvertible as failed:
            error = error or (failed if _has_pixels(reader, found) else PartUnknown(_NO_IMAGE, "Ask for its metadata."))
    assert error is not None  # there is one image at least
    raise error


def _has_pixels(reader: ObjectReader, found: FoundObject) -> bool:
    """Whether an object of a class of images has some; true where nobody can say."""
    packed = reader.packed(found)
    return packed is None or packed.frames is not None
