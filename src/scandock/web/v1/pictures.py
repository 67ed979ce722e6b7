"""Looking at scans: thumbnails, the stack, frames as numbers or pictures, headers of files.

A picture that can't be made is answered with 200 and its reason: a browser that asked for many shows which, and why.
"""

from __future__ import annotations

import json
from typing import Annotated, Final, TypedDict
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import JSONResponse, Response

from scandock.services import pictures
from scandock.services.decoding import DecoderResult
from scandock.viewing.placeholder import MEDIA_TYPE, draw_placeholder
from scandock.viewing.stack import Stack, StackImage
from scandock.web.conditions import is_known
from scandock.web.description.kinds import Responses
from scandock.web.openapi import binary
from scandock.web.picture_answers import header_json, look_at
from scandock.web.request_context import SignedContext, Text
from scandock.web.sending import HeldResponse
from scandock.web.v1.describing import tagged
from scandock.web.v1.errors import WindowInvalid
from scandock.web.v1.files import Number

router = APIRouter(prefix="/api/v1", tags=["pictures"])

Image = Annotated[int, Path(ge=0, le=10**7, description="Its place in the stack, from 0")]
Tree = Annotated[
    str | None,
    Query(
        pattern=r"^[0-9]{1,19}(\.[0-9]{1,19})?$",
        description="The session's tree; with it, and behind a point when it was verified, the answer may be kept",
    ),
]
Figure = Annotated[float | None, Query(ge=-1e12, le=1e12, allow_inf_nan=False)]

KEEP_SECONDS: Final = 86_400
FACTS: Final = "X-Scandock-Frame"
REASON: Final = "X-Scandock-Reason"
_PICTURE: Final = binary("image/webp", "image/png", MEDIA_TYPE)
_NUMBERS: Final[Responses] = {
    200: {
        "content": {
            **binary("application/octet-stream")[200]["content"],
            "application/json": {"schema": {"$ref": "#/components/schemas/NoNumbers"}},
        }
    }
}
_GUARD: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Vary": "Accept-Encoding, Authorization, Cookie",
}


@router.get(
    "/sessions/{session}/scans/{scan}/thumbnail", summary="A small picture of a scan", response_class=Response,
    **tagged(_PICTURE),
)  # fmt: skip
async def thumbnail(request: Request, work: SignedContext, session: str, scan: str, tree: Tree = None) -> Response:
    """WebP, at most 256 pixels wide and high, of the image in the middle; else an SVG with the reason."""
    looked = await look_at(work, session, scan)
    tag = looked.tag("thumbnail")
    if _has(request, tag):
        return _unchanged(tag)
    return _drawn(await work.decode(lambda: pictures.make_thumbnail(looked)), _kept(looked, tree, tag))


@router.get(
    "/sessions/{session}/scans/{scan}/stack", summary="In which order the images of a scan are shown", **tagged()
)
async def stack(request: Request, work: SignedContext, session: str, scan: str, tree: Tree = None) -> Response:
    """By place in space, then by time, echo and number. `images` are rows of the names in `columns`."""
    looked = await look_at(work, session, scan)
    tag = looked.tag("stack")
    if _has(request, tag):
        return _unchanged(tag)
    found = await work.decode(lambda: pictures.read_stack(looked))
    return JSONResponse(stack_json(found, looked.standing.tree_id), headers=_kept(looked, tree, tag))


@router.get(
    "/sessions/{session}/scans/{scan}/frames/{image}", summary="The numbers of an image", response_class=Response,
    **tagged(_NUMBERS),
)  # fmt: skip
async def frame(
    request: Request, work: SignedContext, session: str, scan: str, image: Image, tree: Tree = None
) -> Response:  # fmt: skip
    """16-bit integers, little endian, row by row; what they mean is JSON in `X-Scandock-Frame`.

    Of a colour image, and of one that can't be shown, JSON instead: its `kind` is `colour` or `none`, with the reason.
    """
    looked = await look_at(work, session, scan)
    packed = "gzip" in request.headers.get("accept-encoding", "")
    tag = looked.tag("frame", image, "gzip" if packed else "plain")
    if _has(request, tag):
        return _unchanged(tag)
    made = await work.decode(lambda: pictures.read_frame(looked, image, packed=packed))
    headers = _kept(looked, tree, tag) if made.lasting else {"Cache-Control": "no-store"}
    if made.reason:
        return JSONResponse({"kind": "none", "reason": made.reason}, headers=headers)
    if made.said["kind"] != "grey":
        return JSONResponse(made.said, headers=headers)
    headers[FACTS] = json.dumps(made.said, separators=(",", ":"))
    if packed:
        headers["Content-Encoding"] = "gzip"
    return _body(made, headers, "application/octet-stream")


@router.get(
    "/sessions/{session}/scans/{scan}/frames/{image}/picture", summary="An image as a picture",
    response_class=Response, **tagged(_PICTURE),
)  # fmt: skip
async def picture(
    request: Request,
    work: SignedContext,
    session: str,
    scan: str,
    image: Image,
    center: Figure = None,
    width: Figure = None,
    size: Annotated[int | None, Query(ge=16, le=4096, description="Pixels of the longer side")] = None,
    tree: Tree = None,
) -> Response:
    """PNG through the window of `center` and `width`, else through the header's; an SVG where there is a reason."""
    if (center is None) != (width is None) or (width is not None and width <= 0):
        raise WindowInvalid
    looked = await look_at(work, session, scan)
    tag = looked.tag("picture", image, center, width, size)
    if _has(request, tag):
        return _unchanged(tag)
    window = (center, width) if center is not None and width is not None else None
    return _drawn(
        await work.decode(lambda: pictures.make_picture(looked, image, window, size)), _kept(looked, tree, tag)
    )


@router.get("/sessions/{session}/files/{file}/header", summary="All elements of a file's header", **tagged())
async def header(request: Request, work: SignedContext, session: str, file: Number, search: Text = "") -> Response:
    """Rows of depth, tag, name, VR and value; with `search`, those in which it stands, in any case."""
    made, tag = await work.decode(lambda: pictures.read_header(work.context, work.site.pictures, session, file))
    if not search and made.lasting and _has(request, tag):
        return _unchanged(tag)
    headers = {"Cache-Control": "private, no-cache"} | ({"ETag": tag} if made.lasting and not search else {})
    return JSONResponse(header_json(made, search), headers=headers)


class StackJson(TypedDict):
    """A stack as answers have it."""

    tree: int
    places: int
    turns: int
    middle: int
    columns: list[str]
    images: list[StackImage]
    """Each with a value for every column."""
    reasons: list[ReasonJson]
    note: str


class ReasonJson(TypedDict):
    """Why a file has no image."""

    file: int
    reason: str


def stack_json(found: Stack, tree: int) -> StackJson:
    """A stack as answers have it."""
    return {
        "tree": tree,
        "places": found.places,
        "turns": found.turns,
        "middle": found.middle,
        "columns": ["file", "frame", "place", "turn", "instance", "time", "position"],
        "images": found.images,
        "reasons": [{"file": number, "reason": reason} for number, reason in found.reasons],
        "note": found.note,
    }


def _has(request: Request, tag: str) -> bool:
    return is_known(request.headers.get("if-none-match", ""), tag)


def _unchanged(tag: str) -> Response:
    return Response(status_code=304, headers={"ETag": tag, "Cache-Control": "private, no-cache"})


def _kept(looked: pictures.ScanView, tree: str | None, tag: str) -> dict[str, str]:
    """Headers of what may be kept: for a day without asking, where the address names the tree that it is of.

    And the verification before: what is made of bytes that rotted must not be shown for a day once they are mended.
    """
    named = tree == looked.version or (tree == f"{looked.standing.tree_id}" and not looked.round)
    return {
        **_GUARD,
        "ETag": tag,
        "Cache-Control": f"private, max-age={KEEP_SECONDS}, immutable" if named else "private, no-cache",
    }


def _body(made: DecoderResult, headers: dict[str, str], media_type: str) -> Response:
    if made.file is not None:
        return HeldResponse(made.file, headers, media_type)
    return Response(made.body, headers=headers, media_type=media_type)


def _drawn(made: DecoderResult, headers: dict[str, str]) -> Response:
    if not made.reason:
        return _body(made, headers, made.said["type"])
    if not made.lasting:
        headers = {**_GUARD, "Cache-Control": "no-store"}
    headers[REASON] = quote(made.reason, safe=" ,.;:()'")
    return Response(draw_placeholder(made.reason), headers=headers, media_type=MEDIA_TYPE)
