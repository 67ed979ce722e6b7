"""Metadata of objects (PS3.18 10.4.1.1.2): from packs, with the addresses of this request."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from itertools import groupby
from typing import Final

from scandock.services.dicomweb_objects import FoundObject, ObjectReader
from scandock.viewing.dicom_json import BULK
from scandock.web import urls

CHECK_SECONDS: Final = 10.0
"""For all packs of an answer before it begins: clients and proxies wait for its first byte."""
_BULK: Final = BULK.encode()
_ADDRESS: Final = BULK[:-1]


def read_metadata(reader: ObjectReader, base: str) -> Iterator[bytes]:
    """A JSON list of the objects' metadata, one by one.

    `base`: the absolute address below which the study is. Called while no decoder is asked by this thread.
    """
    separator = b"["
    for _, group in groupby(reader.objects, key=_pack_key):
        objects = list(group)
        first = objects[0]
        pack = reader.pictures.work(lambda first=first: reader.pack(first))  # type: ignore[misc]
        texts = dict(pack.texts([found.stored.n for found in objects]))
        for found in reader.each_object(objects):
            text = texts.get(found.stored.n) or _bare(reader.selection.study, found)
            yield separator + text.replace(_BULK, _address(reader.selection.study, found, base))
            separator = b","
    yield b"[]" if separator == b"[" else b"]"


def count_unreadable(reader: ObjectReader) -> tuple[int, int]:
    """The objects of a reader whose headers can't be read, and those that were not checked, as there was no time.

    Within `Pictures.work`. Makes the packs that are missing, as many as there is time for. DecodersOccupied.
    """
    deadline = time.monotonic() + CHECK_SECONDS
    unreadable = 0
    checked_pack = None
    for number, found in enumerate(reader.objects):
        if (pack := _pack_key(found)) != checked_pack:
            if checked_pack is not None and time.monotonic() >= deadline:
                return unreadable, len(reader.objects) - number
            checked_pack = pack
        packed = reader.packed(found)
        unreadable += packed is None or not packed.length
    return unreadable, 0


def _pack_key(found: FoundObject) -> tuple[int, int, int]:
    return found.session.tree_id, found.stored.scan_n, found.stored.chunk


def _address(study: str, found: FoundObject, base: str) -> bytes:
    """How the addresses of an object's bulk data begin."""
    instance = urls.dicomweb_instance(base, study, found.stored.series_uid, found.stored.sop_uid)
    return (_ADDRESS + urls.dicomweb_bulk_data(instance, "")).encode()


def _bare(study: str, found: FoundObject) -> bytes:
    """What is told of an object whose header can't be read: its UIDs, as the catalog has them."""
    uids = {"00080018": found.stored.sop_uid, "0020000D": study, "0020000E": found.stored.series_uid}
    model = {"00080005": {"vr": "CS", "Value": ["ISO_IR 192"]}}
    model |= {tag: {"vr": "UI", "Value": [uid]} for tag, uid in uids.items()}
    return json.dumps(model, separators=(",", ":")).encode()
