"""Pictures before an upload are those of the server: of each kind of image in the corpus that a page decodes itself."""

from __future__ import annotations

import base64
import io
import json
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from scandock.viewing.dicom_file import DicomFile, open_dicom
from scandock.viewing.dicom_frames import DicomFrames
from scandock.viewing.frames import Frame, NotViewable
from scandock.viewing.rendering import render_picture

pytestmark = [pytest.mark.processes, pytest.mark.long, pytest.mark.corpus]

NODE = Path(__file__).resolve().parent.parent / "node"
SYNTAXES = {
    "1.2.840.10008.1.2": "implicit",
    "1.2.840.10008.1.2.1": "explicit",
    "1.2.840.10008.1.2.1.99": "deflated",
    "1.2.840.10008.1.2.2": "big-endian",
    "1.2.840.10008.1.2.5": "RLE",
}
OF_A_KIND = 2
"""Files of one folder, size and syntax that are compared: series have hundreds."""


def sampled(corpus: Path) -> Iterator[Path]:
    seen: Counter[tuple[Path, int]] = Counter()
    for path in sorted(corpus.rglob("*")):
        if not path.is_file() or path.stat().st_size < 300:
            continue
        kind = (path.parent, path.stat().st_size // 256)
        seen[kind] += 1
        if seen[kind] <= OF_A_KIND:
            yield path


def opened(path: Path) -> DicomFile | None:
    try:
        return open_dicom(io.BytesIO(path.read_bytes()))
    except Exception:  # noqa: BLE001  no DICOM, or nothing that is shown
        return None


def decoded(file: DicomFile, number: int) -> Frame | None:
    try:
        return DicomFrames(file).frame(number)
    except NotViewable:
        return None


def is_decoded(file: DicomFile) -> bool:
    """Whether the page has to show it: 8 or 16 bits, by no table that it leaves to the server."""
    left = {"ModalityLUTSequence", "SegmentedRedPaletteColorLookupTableData"}
    return (
        file.pixels is not None
        and file.pixels.keyword == "PixelData"
        and file.data.get("BitsAllocated") in (8, 16)
        and not left & set(file.data.dir())
    )


def compare(path: Path, said: dict[str, Any], frame: Frame) -> str:
    """How the page's picture differs from the server's; "" where it does not."""
    width, height = said["width"], said["height"]
    drawn = np.frombuffer(base64.b64decode(said["rgba"]), np.uint8).reshape(height, width, 4)[..., :3]
    rendered = Image.open(io.BytesIO(render_picture(frame, None, max(width, height)))).convert("RGB")
    if rendered.size != (width, height):
        return f"{path}: {width} x {height} pixels, not {rendered.size}"
    if width > frame.pixels.shape[1] or height > frame.pixels.shape[0]:
        return ""  # pixels that are not square are drawn larger one way, which the server smooths
    most = int(np.abs(np.asarray(rendered).astype(int) - drawn).max())
    return f"{path}: up to {most} apart" if most > 2 else ""


def test_pictures_before_an_upload_are_those_of_the_server(corpus: Path):
    paths = list(sampled(corpus))
    node = shutil.which("node")
    assert node, "no node: scripts/system-packages.sh installs it"
    command = [node, "--no-warnings", str(NODE / "pictures.mjs"), json.dumps({"paths": list(map(str, paths))})]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    compared: Counter[str] = Counter()
    wrong = []
    for path, said in zip(paths, map(json.loads, done.stdout.splitlines()), strict=True):
        assert said["path"] == str(path)
        file = opened(path)
        if file is None or not (said["shown"] or (file.syntax in SYNTAXES and is_decoded(file))):
            wrong += [f"{path}: the server reads no such file"] * said["shown"]
            continue
        frame = decoded(file, said["number"] if said["shown"] else 0)
        if frame is None or not said["shown"]:
            wrong += [f"{path}: one of both shows nothing. {said['error']}"] * (said["shown"] or frame is not None)
            continue
        wrong += filter(None, [compare(path, said, frame)])
        compared[SYNTAXES[file.syntax]] += 1
        kinds = [str(file.data.get("PhotometricInterpretation")).split("_")[0].split()[0]]
        kinds += ["mosaic"] * ("MOSAIC" in (file.data.get("ImageType") or ()))
        kinds += ["frames"] * (said["number"] > 0 and "mosaic" not in kinds)
        kinds += ["groups"] * ("SharedFunctionalGroupsSequence" in file.data)
        compared.update(kinds)
    assert wrong == []
    every = {"MONOCHROME1", "MONOCHROME2", "RGB", "YBR", "PALETTE", "mosaic", "frames", "groups"}
    assert set(compared) == {*SYNTAXES.values(), *every}, compared
    assert sum(compared[name] for name in SYNTAXES.values()) > 150, compared
