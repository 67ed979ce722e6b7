"""JPEGs are decoded by the browser for the pictures before an upload, to the colors that the server shows."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser

from scandock.viewing.dicom_file import open_dicom
from scandock.viewing.dicom_frames import DicomFrames
from scandock.viewing.rendering import render_picture
from tests.crash.served import ServerProcess
from tests.e2e.browsing import base_of, person

pytestmark = [pytest.mark.processes, pytest.mark.corpus]

BASELINE = b"1.2.840.10008.1.2.4.50"
DECODE = """async (content) => {
  const at = document.querySelector("meta[name=scandock]").dataset.static;
  const { pictureOf } = await import(`${at}/js/upload/picture.js`);
  const { decodeJpeg } = await import(`${at}/js/upload/jpeg.js`);
  const bytes = Uint8Array.from(atob(content), (char) => char.charCodeAt(0));
  const picture = await pictureOf(async (length) => bytes.subarray(0, length), decodeJpeg);
  return picture && { ...picture, rgba: [...picture.rgba] };
}"""
APART = 6
"""Levels by which two decoders may differ at the edges of colors that are stored at half the resolution."""


def test_jpegs_have_the_servers_colors(
    browser: Browser, plain_site: ServerProcess, corpus: Path, subtests: pytest.Subtests
):
    paths = [path for path in sorted(corpus.rglob("*.dcm")) if BASELINE in path.read_bytes()[:1024]]
    assert len(paths) > 8
    with person(browser, base_of(plain_site)) as one:
        page = one.go("/login")
        for path in paths:
            with subtests.test(path.name):
                picture = page.evaluate(DECODE, base64.b64encode(path.read_bytes()).decode())
                assert picture is not None
                frame = DicomFrames(open_dicom(io.BytesIO(path.read_bytes()))).frame(picture["number"])
                size = (picture["width"], picture["height"])
                shown = Image.open(io.BytesIO(render_picture(frame, None, max(size)))).convert("RGB")
                assert shown.size == size
                drawn = np.array(picture["rgba"], np.uint8).reshape(*size[::-1], 4)[..., :3]
                apart = np.abs(np.asarray(shown).astype(int) - drawn)
                assert apart.mean() < 1.5, f"{apart.mean()} on average, {apart.max()} at most"
                assert np.percentile(apart, 99) <= APART
