from __future__ import annotations

import base64
import hashlib

import pytest

from scandock.model.errors import Usage
from scandock.web.tus.protocol import check_body, check_version, http_date, parse_checksum, parse_metadata, parse_number


def coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_metadata_are_names_with_values_in_base64():
    text = f"project {coded('P')},filename {coded('ä b.zip')}, empty"
    assert parse_metadata(text) == {"project": "P", "filename": "ä b.zip", "empty": ""}
    assert parse_metadata("") == {}


@pytest.mark.parametrize("text", ["project P_", f"project {coded('P')},project {coded('Q')}", "name //79/w=="])
def test_metadata_that_cannot_be_read_are_refused(text):
    with pytest.raises(Usage) as refused:
        parse_metadata(text)
    assert refused.value.code == "tus_metadata"


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "md5", "SHA256"])
def test_checksums(algorithm):
    wanted = hashlib.new(algorithm.lower(), b"abc").digest()
    checksum = parse_checksum(f"{algorithm} {base64.b64encode(wanted).decode()}")
    assert checksum is not None
    digest = checksum.digest()
    digest.update(memoryview(b"abc"))
    assert digest.digest() == checksum.wanted == wanted


@pytest.mark.parametrize("text", ["crc32 AAAA", "sha1 ***", "sha1 A", "sha1", "sha1 "])
def test_checksums_that_cannot_be_read_are_refused(text):
    with pytest.raises(Usage):
        parse_checksum(text)


@pytest.mark.parametrize("value", ["", "-1", "1.5", "x", "9" * 19, "١"])
def test_numbers(value):
    with pytest.raises(Usage):
        parse_number({"upload-offset": value}, "Upload-Offset")
    assert parse_number({"upload-offset": "17"}, "Upload-Offset") == 17


def test_version_and_type_are_insisted_on():
    check_version({"tus-resumable": "1.0.0"})
    check_body({"content-type": "application/offset+octet-stream"})
    with pytest.raises(Usage):
        check_version({"tus-resumable": "0.2.2"})
    with pytest.raises(Usage):
        check_body({"content-type": "application/octet-stream"})


def test_expiry_is_an_http_date():
    assert http_date(0) == "Thu, 01 Jan 1970 00:00:00 GMT"
