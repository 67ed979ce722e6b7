"""Measures reading by DICOMweb over HTTP: metadata and lists of a series of 200 objects from a pack, single frames.

    python -m bench.dicomweb [--rounds 20]

The server runs in this process, on SQLite in a temporary folder, and is asked over the loopback. What a request costs
that asks for nothing (`/healthz`) is measured in the same rounds.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from scandock.web import urls
from tests.builders import DataFolder, Image
from tests.integration.web import serve_by_socket

OBJECTS = 200
AS_STORED = {"Accept": "multipart/related; type=application/octet-stream; transfer-syntax=*"}
CASE = "bench"
FIRST_METADATA, METADATA, FRAME, NOTHING = "metadata, the pack made", "metadata from the pack", "a frame", "nothing"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    for what, milliseconds in measure_reading(parser.parse_args().rounds).items():
        print(f"{what:25} {milliseconds:7.1f} ms")


def measure_reading(rounds: int) -> dict[str, float]:
    """Milliseconds of each kind of request."""
    with tempfile.TemporaryDirectory() as folder, serve_by_socket(Path(folder) / "data") as web:
        site = DataFolder(root=Path(folder), checked=False)
        site.bring({f"{n}.dcm": make_object(n) for n in range(OBJECTS)})
        first = Image(case=CASE)
        study, series = first.study_uid.decode(), first.series_uid.decode()
        address = urls.dicomweb_series(urls.dicomweb("P"), study, series)
        frames = [
            f"{urls.dicomweb_instance(urls.dicomweb('P'), study, series, Image(case=CASE, number=n).sop_uid.decode())}"
            "/frames/1"
            for n in range(OBJECTS)
        ]
        with web.client() as client:
            one = Image(case=CASE, number=OBJECTS // 2).sop_uid.decode()
            query = f"{urls.dicomweb('P')}/instances?SOPInstanceUID={one}"
            forget = web.site.instance_headers.__init__  # type: ignore[misc]
            return {
                FIRST_METADATA: measure(client, [f"{address}/metadata"]),
                METADATA: measure(client, [f"{address}/metadata"] * rounds),
                "200 instances listed": measure(client, [f"{address}/instances"] * rounds, before=forget),
                "one of them, limit=1": measure(client, [f"{address}/instances?limit=1"] * rounds, before=forget),
                "one by its UID alone": measure(client, [query] * rounds, before=forget),
                FRAME: measure(client, frames[: rounds * 10], AS_STORED),
                NOTHING: measure(client, [urls.HEALTHZ] * rounds),
            }


def make_object(number: int) -> bytes:
    """An MR object of 138 kB with a header of some 100 elements."""
    also = {0x00080000 + (0x1030 + n): (b"LO", b"%-40d" % n) for n in range(60)}
    pixels = bytes(range(256)) * 512
    size = {0x00280010: (b"US", b"\0\1"), 0x00280011: (b"US", b"\0\1"), 0x7FE00010: (b"OW", pixels)}
    return Image(case=CASE, number=number, also={**also, **size}).file()


def measure(
    client: httpx.Client,
    addresses: list[str],
    headers: dict[str, str] | None = None,
    before: Callable[[], None] = lambda: None,
) -> float:
    """The median of what these requests take, in milliseconds; `before` each something is done."""
    taken = []
    for address in addresses:
        before()
        began = time.perf_counter()
        answer = client.get(address, headers=headers)
        taken.append((time.perf_counter() - began) * 1000)
        answer.raise_for_status()
    return statistics.median(taken)


if __name__ == "__main__":
    main()
