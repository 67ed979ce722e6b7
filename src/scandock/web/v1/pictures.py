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
from scandock.web.conditions import is_etag_known
from scandock.web.description.schemas import Responses
from scandock.web.openapi import binary_response
from scandock.web.picture_responses import header_json, view_scan
from scandock.web.request_context import SignedContext, Text
from scandock.web.response_sending import BufferedResponse
from scandock.web.v1.errors import WindowInvalid
from scandock.web.v1.files import Number
from scandock.web.v1.openapi_keywords import etag_keywords

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
FACTS_VERSION: Final = 2
"""Of what the header of a frame says: raised when that changes, so that no browser keeps the facts of before."""
REASON: Final = "X-Scandock-Reason"
_PICTURE: Final = binary_response("image/webp", "image/png", MEDIA_TYPE)
_NUMBERS: Final[Responses] = {
    200: {
        "content": {
            **binary_response("application/octet-stream")[200]["content"],
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
    **etag_keywords(_PICTURE),
)  # fmt: skip
async def thumbnail(request: Request, context: SignedContext, session: str, scan: str, tree: Tree = None) -> Response:
    """WebP, at most 256 pixels wide and high, of the image in the middle; else an SVG with the reason."""
    view = await view_scan(context, session, scan)
    tag = view.tag("thumbnail")
    if _has(request, tag):
        return _unchanged(tag)
    return _picture_response(
        await context.run_decoder(lambda: pictures.make_thumbnail(view)), _cache_headers(view, tree, tag)
    )


@router.get(
    "/sessions/{session}/scans/{scan}/stack", summary="In which order the images of a scan are shown", **etag_keywords()
)
async def stack(request: Request, context: SignedContext, session: str, scan: str, tree: Tree = None) -> Response:
    """By place in space, then by time, echo and number. `images` are rows of the names in `columns`."""
    view = await view_scan(context, session, scan)
    tag = view.tag("stack")
    if _has(request, tag):
        return _unchanged(tag)
    stack_record = await context.run_decoder(lambda: pictures.read_stack(view))
    return JSONResponse(stack_json(stack_record, view.session.tree_id), headers=_cache_headers(view, tree, tag))


@router.get(
    "/sessions/{session}/scans/{scan}/frames/{image}", summary="The numbers of an image", response_class=Response,
    **etag_keywords(_NUMBERS),
)  # fmt: skip
async def frame(
    request: Request, context: SignedContext, session: str, scan: str, image: Image, tree: Tree = None
) -> Response:  # fmt: skip
    """16-bit integers, little endian, row by row; what they mean is JSON in `X-Scandock-Frame`.

    Of a color image, and of one that can't be shown, JSON instead: its `kind` is `colour` or `none`, with the reason.
    """
    view = await view_scan(context, session, scan)
    takes_gzip = "gzip" in request.headers.get("accept-encoding", "")
    tag = view.tag("frame", FACTS_VERSION, image, "gzip" if takes_gzip else "plain")
    if _has(request, tag):
        return _unchanged(tag)
    result = await context.run_decoder(lambda: pictures.read_frame(view, image, packed=takes_gzip))
    headers = _cache_headers(view, tree, tag) if result.lasting else {"Cache-Control": "no-store"}
    if result.reason:
        return JSONResponse({"kind": "none", "reason": result.reason}, headers=headers)
    if result.said["kind"] != "grey":
        return JSONResponse(result.said, headers=headers)
    headers[FACTS] = json.dumps(result.said, separators=(",", ":"))
    if takes_gzip:
        headers["Content-Encoding"] = "gzip"
    return _decoded_response(result, headers, "application/octet-stream")


@router.get(
    "/sessions/{session}/scans/{scan}/frames/{image}/picture", summary="An image as a picture",
    response_class=Response, **etag_keywords(_PICTURE),
)  # fmt: skip
async def picture(
    request: Request,
    context: SignedContext,
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
    view = await view_scan(context, session, scan)
    tag = view.tag("picture", image, center, width, size)
    if _has(request, tag):
        return _unchanged(tag)
    window = (center, width) if center is not None and width is not None else None
    return _picture_response(
        await context.run_decoder(lambda: pictures.make_picture(view, image, window, size)),
        _cache_headers(view, tree, tag),
    )


@router.get("/sessions/{session}/files/{file}/header", summary="All elements of a file's header", **etag_keywords())
async def header(request: Request, context: SignedContext, session: str, file: Number, search: Text = "") -> Response:
    """Rows of depth, tag, name, VR and value; with `search`, those in which it stands, in any case."""
    result, tag = await context.run_decoder(
        lambda: pictures.read_header(context.service_context, context.server.pictures, session, file)
    )
    if not search and result.lasting and _has(request, tag):
        return _unchanged(tag)
    headers = {"Cache-Control": "private, no-cache"} | ({"ETag": tag} if result.lasting and not search else {})
    return JSONResponse(header_json(result, search), headers=headers)


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


def stack_json(stack: Stack, tree: int) -> StackJson:
    """A stack as answers have it."""
    return {
        "tree": tree,
        "places": stack.places,
        "turns": stack.turns,
        "middle": stack.middle,
        "columns": ["file", "frame", "place", "turn", "instance", "time", "position"],
        "images": stack.images,
        "reasons": [{"file": number, "reason": reason} for number, reason in stack.reasons],
        "note": stack.note,
    }


def _has(request: Request, tag: str) -> bool:
    return is_etag_known(request.headers.get("if-none-match", ""), tag)


def _unchanged(tag: str) -> Response:
    return Response(status_code=304, headers={"ETag": tag, "Cache-Control": "private, no-cache"})


def _cache_headers(view: pictures.ScanView, tree: str | None, tag: str) -> dict[str, str]:
    """Headers of what may be kept: for a day without asking, where the address names the tree that it is of.

    And the verification before: what is made of bytes that rotted must not be shown for a day once they are mended.
    """
    is_versioned = tree == view.version or (tree == f"{view.session.tree_id}" and not view.reading.verified)
    return {
        **_GUARD,
        "ETag": tag,
        "Cache-Control": f"private, max-age={KEEP_SECONDS}, immutable" if is_versioned else "private, no-cache",
    }


def _decoded_response(result: DecoderResult, headers: dict[str, str], media_type: str) -> Response:
    if result.file is not None:
        return BufferedResponse(result.file, headers, media_type)
    return Response(result.body, headers=headers, media_type=media_type)


def _picture_response(result: DecoderResult, headers: dict[str, str]) -> Response:
    if not result.reason:
        return _decoded_response(result, headers, result.said["type"])
    if not result.lasting:
        headers = {**_GUARD, "Cache-Control": "no-store"}
    headers[REASON] = quote(result.reason, safe=" ,.;:()'")
    return Response(draw_placeholder(result.reason), headers=headers, media_type=MEDIA_TYPE)
