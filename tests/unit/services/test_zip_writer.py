from __future__ import annotations

import io
import zipfile

from hypothesis import given
from hypothesis import strategies as st

from scandock.formats.source import MemorySource
from scandock.formats.zip_directory import read_directory
from scandock.formats.zip_entry import ZipEntryReader
from scandock.model.limits import Limits
from scandock.services.zip_stream import ZipWriter

LIMITS = Limits()


def written(entries: list[tuple[str, list[bytes]]]) -> bytes:
    writer = ZipWriter()
    data = bytearray()
    for name, pieces in entries:
        data += writer.begin(name)
        for piece in pieces:
            writer.add(piece)
            data += piece
        data += writer.end()
    return bytes(data + writer.finish())


@given(st.lists(st.tuples(st.sampled_from(["1.2.dcm", "ä.dcm", "x"]), st.lists(st.binary(max_size=90), max_size=4))))
def test_what_is_written_piece_by_piece_is_read_by_pythons_zipfile_and_by_the_import(entries):
    data = written(entries)
    expected = [(name, b"".join(pieces)) for name, pieces in entries]
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert [(info.filename, archive.read(info)) for info in archive.infolist()] == expected
    source = MemorySource(data)
    directory = read_directory(source, LIMITS)
    reader = ZipEntryReader(LIMITS)
    assert [(entry.name, bytes(reader.whole(source, entry))) for entry in directory.entries] == expected
