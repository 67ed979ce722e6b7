"""UIDs in the place of others: keyed and not."""

from __future__ import annotations

import hmac
import subprocess
import sys
import uuid

import pytest

from scandock.deidentification.uids import UidMapper, hash_uid, is_keyed_uid, map_uid
from scandock.rules.keyed_values import keyed_uid

KEY = b"k" * 32


def test_hash_uid_is_that_of_the_original() -> None:
    assert hash_uid("1.2.3.4") == "2.25.12977335313771255011876057319581175462"


def test_keyed_uid_is_a_uuid_of_the_key_and_the_text() -> None:
    uid = keyed_uid(KEY, "1.2.3")
    number = uuid.UUID(int=int(uid.removeprefix("2.25.")))
    assert (number.version, number.variant) == (8, uuid.RFC_4122)
    assert len(uid) <= 64
    assert keyed_uid(KEY, "1.2.3") == uid
    assert keyed_uid(b"l" * 32, "1.2.3") != uid
    assert keyed_uid(KEY, "1.2.4") != uid


@pytest.mark.parametrize("size", [1, 32, 64, 65, 4_096])
def test_keyed_uids_are_of_hmac_whatever_the_size_of_the_key(size: int) -> None:
    key = bytes(range(256)) * 16
    digest = hmac.digest(key[:size], b"1.2.3", "sha256")
    number = int(keyed_uid(key[:size], "1.2.3").removeprefix("2.25."))
    assert number | 0xF << 76 | 0x3 << 62 == int.from_bytes(digest[:16], "big") | 0xF << 76 | 0x3 << 62


def test_keyed_uids_agree_in_another_process() -> None:
    made = f"keyed_uid({KEY!r}, '1.2.3'), map_uid('1.9', 'x', {KEY!r})"
    imports = "from scandock.deidentification.uids import map_uid; from scandock.rules.keyed_values import keyed_uid"
    code = f"{imports}; print({made})"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert answer.stdout.split() == [keyed_uid(KEY, "1.2.3"), map_uid("1.9", "x", KEY)]


def test_map_uid_is_below_its_root_and_never_too_long() -> None:
    assert map_uid("1.2.3", "x", KEY).startswith("1.2.3.")
    assert map_uid("1.2.3", "x", KEY) == map_uid("1.2.3", "x", KEY)
    assert len({map_uid("1.2.3", "x", KEY), map_uid("1.2.4", "x", KEY), map_uid("1.2.3", "y", KEY)}) == 3
    assert len(map_uid("1." + "2" * 51, "x", KEY)) <= 64
    for root in ("", "1..2", "1.02", "root", "1." + "2" * 60):
        with pytest.raises(ValueError, match="root"):
            map_uid(root, "x", KEY)


def test_each_uid_of_several_is_mapped_and_those_of_the_standard_stay() -> None:
    mapped = UidMapper(KEY)[b"1.2.3\\1.2.840.10008.1.2\\1.2.4\0"].decode()
    assert mapped.split("\\") == [keyed_uid(KEY, "1.2.3"), "1.2.840.10008.1.2", keyed_uid(KEY, "1.2.4")]


def test_what_only_begins_as_a_uid_of_the_standard_does_not_stay() -> None:
    assert UidMapper(KEY)[b"1.2.840.10008.DOE^JANE"] == b""
    assert UidMapper(KEY)[b""] == b""


def test_values_whose_uids_take_much_memory_are_mapped_anew() -> None:
    mapper = UidMapper(KEY)
    values = [b"\\".join(b"%d" % (number >> bit & 7) for bit in range(0, 600, 3)) for number in range(10)]
    assert all(len(mapper[value]) > 20 * len(value) for value in values)
    assert mapper[b" " * 1_000] == b""
    assert not mapper
    assert mapper[b"1.2.3\\1.2.4"]
    assert len(mapper) == 1


def test_keyed_uids_are_known_from_others() -> None:
    assert all(is_keyed_uid(keyed_uid(KEY, f"1.2.{number}").encode()) for number in range(200))
    assert not any(is_keyed_uid(hash_uid(f"1.2.{number}").encode()) for number in range(200))
    assert not any(map(is_keyed_uid, (b"2.25.4711", b"1.2.840.113619.2.4711", b"2.25." + b"9" * 39, b"")))
