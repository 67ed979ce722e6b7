"""A run over paths: which inputs are found, under which names their outputs stand, and what is said of all others."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import random
import tarfile
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scandock.deidentification.scrub import Failed, Rejected, Scrubbed, ScrubResult
from scandock.formats.errors import ReadFailed
from scandock.model.errors import Fault
from scandock.model.limits import Limits
from scandock.services.output_folder import OutputFolder
from scandock.workers import deidentification
from scandock.workers.deidentification import Cancelled, DeidentificationRun, Outcome
from tests.builders import Image, ecat, zip_entries

HEADER = Image(case="deidentify").file()


def image(number: int = 1) -> bytes:
    return Image(case="deidentify", number=number).file()


def passing(head: bytes | memoryview, size: int, _read: Any) -> ScrubResult:
    """A function that changes nothing, to see what is written where."""
    from scandock.deidentification.data_set import Range

    return Scrubbed([bytes(head), Range(len(head), size)] if size > len(head) else [bytes(head)])


class Runs:
    """Runs over paths below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = folder / "out"

    def __call__(
        self, *paths: Path | str, scrub: Any = passing, limits: Limits | None = None, **options: Any
    ) -> list[Outcome]:
        outcomes: list[Outcome] = []
        cancelled = options.pop("cancelled", threading.Event())
        tell: Callable[[Outcome], None] = options.pop("tell", outcomes.append)
        output = OutputFolder(str(self.out), overwrite=options.pop("overwrite", False))
        try:
            run = DeidentificationRun(scrub, output, limits or Limits(), tell, cancelled, **options)
            for path in paths:
                run.take(str(path))
        finally:
            output.close()
        return outcomes

    def written(self) -> list[str]:
        return sorted(str(path.relative_to(self.out)) for path in self.out.rglob("*") if not path.is_dir())

    def make(self, name: str, data: bytes) -> Path:
        path = self.folder / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path


@pytest.fixture
def runs(tmp_path):
    return Runs(tmp_path)


def said(outcomes):
    return [(Path(one.path).name.split("!")[-1], one.result, one.code, one.out) for one in outcomes]


def test_files_keep_their_relative_path_and_say_what_they_are_not(runs):
    runs.make("a/1.dcm", image(1))
    runs.make("a/b/2", image(2))
    runs.make("a/pet.v", ecat())
    runs.make("a/notes.txt", b"hello")
    runs.make("a/empty", b"")
    (runs.folder / "in/a/link").symlink_to(runs.folder / "in/a/1.dcm")
    (runs.folder / "in/a/loop").symlink_to(runs.folder / "in")
    outcomes = runs(runs.folder / "in")
    assert said(outcomes) == [
        ("1.dcm", "ok", "", "a/1.dcm"),
        ("empty", "error", "not_an_image", None),
        ("link", "error", "ignored_link", None),
        ("loop", "error", "ignored_link", None),
        ("notes.txt", "error", "not_an_image", None),
        ("pet.v", "ok", "", "a/pet.v"),
        ("2", "ok", "", "a/b/2"),
    ]
    assert runs.written() == ["a/1.dcm", "a/b/2", "a/pet.v"]
    assert (runs.out / "a/b/2").read_bytes() == image(2)
    assert outcomes[0].path == str(runs.folder / "in/a/1.dcm")


def test_names_that_meet_get_a_number_and_an_input_given_twice_does(runs):
    first, second = runs.make("p1/1.dcm", image(1)), runs.make("p2/1.DCM", image(2))
    outcomes = runs(first, second, first)
    assert [one.out for one in outcomes] == ["1.dcm", "1_2.DCM", "1_3.dcm"]
    assert (runs.out / "1_2.DCM").read_bytes() == image(2)


def test_existing_files_are_refused_without_overwrite(runs):
    path = runs.make("1.dcm", image())
    runs.out.mkdir()
    (runs.out / "1.dcm").write_bytes(b"own")
    calls = []

    def scrub(head, size, read):
        calls.append(size)
        return passing(head, size, read)

    (refused,) = runs(path, scrub=scrub)
    assert (refused.result, refused.code, refused.out, calls) == ("refused", "output_exists", None, [])
    assert (runs.out / "1.dcm").read_bytes() == b"own"
    (written,) = runs(path, overwrite=True)
    assert (written.result, (runs.out / "1.dcm").read_bytes()) == ("ok", image())


def test_hostile_entry_names_stay_below_the_archives_name(runs):
    names = [
        "../../evil.dcm", "/etc/passwd", "C:\\Windows\\x.dcm", "a/./../../b.dcm", "..", "a//b.dcm", "CON.dcm",
        "x\n\x1b[31m.dcm", "a/B.DCM", "\u202emcd.dcm", ".hidden", "a" * 300 + ".dcm", "é.dcm", "e\u0301.dcm",
        "a/b.dcm/c.dcm",
    ]  # fmt: skip
    archive = runs.make("exam.zip", zip_entries([(name, image(n)) for n, name in enumerate(names)]))
    outcomes = runs(archive)
    assert [one.result for one in outcomes] == ["ok"] * len(names)
    outs = [one.out for one in outcomes]
    assert len(set(outs)) == len(names)
    for n, out in enumerate(outs):
        assert out.startswith("exam.zip/")
        assert (runs.out / out).read_bytes() == image(n)
        assert ".." not in out.split("/")
        assert out.isprintable()
        assert max(len(piece.encode()) for piece in out.split("/")) <= 200
    assert outs[:4] == ["exam.zip/evil.dcm", "exam.zip/etc/passwd", "exam.zip/C_/Windows/x.dcm", "exam.zip/b.dcm"]
    assert sorted(path.name for path in runs.folder.iterdir()) == ["in", "out"]


def tar(entries, mode="w"):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode=mode) as archive:
        for name, data in entries.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return raw.getvalue()


def test_archives_within_archives_and_compressed_objects(runs):
    inner = tar({"deep/1.dcm": image(1)}, "w:gz")
    archive = zip_entries(
        {"s/inner.tar.gz": inner, "s/2.dcm.gz": gzip.compress(image(2)), "readme": b"text", "3.dcm": image(3)}
    )
    folder = runs.make("f/exam.zip", archive).parent
    runs.make("f/4.dcm.gz", gzip.compress(image(4)))
    outcomes = runs(folder)
    assert [(one.result, one.out) for one in outcomes] == [
        ("ok", "4.dcm"),
        ("ok", "exam.zip/s/inner.tar.gz/deep/1.dcm"),
        ("ok", "exam.zip/s/2.dcm"),
        ("error", None),
        ("ok", "exam.zip/3.dcm"),
    ]
    assert outcomes[1].path == f"{folder}/exam.zip!s/inner.tar.gz!deep/1.dcm"
    assert (runs.out / "exam.zip/s/2.dcm").read_bytes() == image(2)


def test_numbered_names_say_nothing_of_the_inputs(runs):
    runs.make("JONES/MARY.dcm", image(1))
    runs.make("JONES/MARY.v", ecat())
    runs.make("JONES/note.txt", b"text")
    inner = zip_entries({"JONES.dcm": image(3)})
    runs.make("JONES/z.zip", zip_entries({"JONES/1.zip": inner, "JONES/JONES.dcm": image(2)}))
    outcomes = runs(runs.folder / "in", names="number")
    assert [one.out for one in outcomes] == ["#1.dcm", "#2.v", None, "archive 1/inner 1/#4.dcm", "archive 1/#5.dcm"]
    assert not any("JONES" in name or "MARY" in name for name in runs.written())


def test_large_objects_are_spooled_without_names_and_copied(runs, monkeypatch):
    monkeypatch.setattr(deidentification, "WHOLE", 1000)
    monkeypatch.setattr("scandock.pipeline.unpacker.WHOLE", 1000)
    monkeypatch.setattr(deidentification, "HEAD", 600)
    large = image() + bytes(5000)
    seen = []

    def scrub(head, size, read):
        seen.append((len(head), size, read(size - 4, size)))
        return passing(head, size, read)

    plain, packed = runs.make("1.dcm", large), runs.make("x.zip", zip_entries({"2.dcm": large}))
    stream = runs.make("y.tar.gz", tar({"3.dcm": large}, "w:gz"))
    outcomes = runs(plain, packed, stream, scrub=scrub)
    assert seen == [(600, len(large), bytes(4))] * 3
    assert [(runs.out / str(one.out)).read_bytes() == large for one in outcomes] == [True] * 3


def encrypted():
    data = bytearray(zip_entries({"1.dcm": image(1), "2.dcm": image(2)}))
    for mark, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.find(mark) + at] |= 1
    return bytes(data)


def test_broken_archives_give_what_is_whole_and_an_error(runs):
    whole = tar({"1.dcm": image(1), "2.dcm": image(2)})
    cut = runs.make("cut.tar", whole[: len(image(1)) // 512 * 512 + 1536])
    locked = runs.make("locked.zip", encrypted())
    damaged = bytearray(zip_entries({"1.dcm": image(1), "2.dcm": image(2)}))
    damaged[60] ^= 0xFF
    bad_crc = runs.make("bad.zip", bytes(damaged))
    lost = runs.make("lost.zip", zip_entries({"1.dcm": image(1)})[:-30])
    nothing = runs.make("nothing.zip", zip_entries({}))
    seven = runs.make("x.7z", b"7z\xbc\xaf\x27\x1c" + bytes(100))
    codes = {
        path.name: [(one.result, one.code) for one in runs(path, overwrite=True)]
        for path in (cut, locked, bad_crc, lost, nothing, seven)
    }
    assert codes["cut.tar"] == [("ok", ""), ("error", "truncated")]
    assert codes["locked.zip"] == [("error", "encrypted"), ("ok", "")]
    assert [result for result, _ in codes["bad.zip"]] == ["error", "ok"]
    assert [result for result, _ in codes["lost.zip"]] == ["error"]
    assert codes["nothing.zip"] == [("error", "not_an_image")]
    assert codes["x.7z"] == [("error", "not_an_image")]
    assert runs.written() == ["bad.zip/2.dcm", "cut.tar/1.dcm", "locked.zip/2.dcm"]


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress], ids=["gz", "xz"])
@pytest.mark.parametrize("size", [2_000, 200_000])
def test_of_a_compressed_tar_that_is_cut_what_stands_before_is_written(runs, pack, size):
    """A small one, too, which is damaged within the first bytes that are looked at."""
    entries = {}
    for number in range(8):
        pixels = random.Random(number).randbytes(size)
        entries[f"{number}.dcm"] = Image(case="cut", number=number, also={0x7FE00010: (b"OW", pixels)}).file()
    packed = pack(tar(entries))
    outcomes = runs(runs.make("cut.tar.z", packed[: len(packed) * 6 // 10]))
    assert [(one.result, one.code) for one in outcomes[-1:]] == [("error", "truncated")]
    assert [one.result for one in outcomes[:-1]] == ["ok"] * len(outcomes[:-1])
    assert len(outcomes) - 1 >= 2
    for name in runs.written():
        assert (runs.out / name).read_bytes() == entries[Path(name).name]
    junk = runs.make("junk.gz", gzip.compress(bytes(range(256)) * 40)[:-20])
    assert [(one.result, one.code) for one in runs(junk)] == [("error", "truncated")]


def test_limits_stop_an_archive_and_not_the_next_one(runs):
    many = runs.make("many.zip", zip_entries({f"{n}.dcm": image(n) for n in range(5)}))
    other = runs.make("other.dcm", image())
    outcomes = runs(many, other, limits=Limits(max_entries=3))
    assert [(one.result, one.code) for one in outcomes] == [("error", "too_many_entries"), ("ok", "")]
    (large,) = runs(other, limits=Limits(max_entry_bytes=100), overwrite=True)
    assert (large.result, large.code) == ("error", "entry_too_large")
    deep = zip_entries({"1.dcm": image()})
    for _ in range(3):
        deep = zip_entries({"x.zip": deep})
    (too_deep,) = runs(runs.make("deep.zip", deep), limits=Limits(max_depth=2))
    assert (too_deep.result, too_deep.code) == ("error", "too_deep")


def test_failures_rejections_and_surprises_write_nothing(runs, capsys):
    paths = [runs.make(f"{n}.dcm", image(n)) for n in range(3)]
    results = iter([Failed("deid_value", "No."), Rejected("deid_rejected", "Left out.")])

    def scrub(_head, _size, _read):
        result = next(results, None)
        if result is None:
            raise KeyError("JONES")
        return result

    outcomes = runs(*paths, scrub=scrub)
    assert [(one.result, one.code, one.out) for one in outcomes] == [
        ("error", "deid_value", None),
        ("reject", "deid_rejected", None),
        ("error", "internal", None),
    ]
    assert "JONES" not in outcomes[2].message + "".join(capsys.readouterr())
    assert runs.written() == []


def test_a_fault_of_the_machine_ends_the_run_and_is_told_of_its_input(runs):
    paths = [runs.make(f"{n}.zip", zip_entries({"1.dcm": image(n)})) for n in range(2)]
    outcomes: list[Outcome] = []

    def scrub(_head, _size, _read):
        raise ReadFailed("The disk is gone.", "")

    with pytest.raises(Fault):
        runs(*paths, scrub=scrub, tell=outcomes.append)
    assert [(one.path, one.code) for one in outcomes] == [(f"{paths[0]}!1.dcm", "read_failed")]


def test_a_cancelled_run_stops_behind_the_file_that_is_written(runs):
    paths = [runs.make(f"{n}.dcm", image(n)) for n in range(3)]
    cancelled = threading.Event()
    outcomes: list[Outcome] = []

    def tell(outcome):
        outcomes.append(outcome)
        cancelled.set()

    with pytest.raises(Cancelled):
        runs(*paths, cancelled=cancelled, tell=tell)
    assert runs.written() == ["0.dcm"] == [one.out for one in outcomes]


def test_unreadable_files_cost_themselves(runs, monkeypatch):
    good, bad = runs.make("1.dcm", image(1)), runs.make("2.dcm", image(2))
    opened = os.open

    def open_(path, *args, **keywords):
        if path == str(bad):
            raise PermissionError(13, "Permission denied")
        return opened(path, *args, **keywords)

    monkeypatch.setattr(os, "open", open_)
    assert said(runs(bad, good)) == [("2.dcm", "error", "unreadable", None), ("1.dcm", "ok", "", "1.dcm")]


def test_zip64_and_bundles_are_walked_as_imports_walk_them(runs):
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        with archive.open("1.dcm", "w", force_zip64=True) as entry:
            entry.write(image(1))
        archive.writestr("sub.tar", tar({"2.dcm": image(2)}))
    outcomes = runs(runs.make("b.zip", raw.getvalue()))
    assert [one.out for one in outcomes] == ["b.zip/1.dcm", "b.zip/sub.tar/2.dcm"]


def test_data_sets_without_meta_information_and_uids_are_images(runs):
    explicit = b"\x10\0\x10\0PN\4\0DOE "
    implicit = b"\x10\0\x10\0\4\0\0\0DOE "
    both = [runs.make(f"{n}.raw", data) for n, data in enumerate((explicit, implicit))]
    assert [one.result for one in runs(*both)] == ["ok", "ok"]
    for n, data in enumerate(
        (b"\x08\0\0\0", bytes(100), b"\x10\0\x10\0\xff\xff\0\0DOE ", "\x10abc".encode("utf-16-le"))
    ):
        (other,) = runs(runs.make(f"other{n}", data))
        assert other.code == "not_an_image", data


def test_large_archives_within_archives_are_walked_in_their_place(runs, monkeypatch):
    monkeypatch.setattr("scandock.pipeline.unpacker.SPLIT_BYTES", 100)
    monkeypatch.setattr("scandock.pipeline.unpacker.WHOLE", 100)
    monkeypatch.setattr("scandock.formats.zip_entry.WHOLE", 100)
    inner = zip_entries({"1.dcm": image(1), "2.dcm": image(2)})
    before = len(os.listdir("/proc/self/fd"))
    outcomes = runs(runs.make("b.zip", zip_entries({"0.dcm": image(0), "inner.zip": inner, "3.dcm": image(3)})))
    assert [one.out for one in outcomes] == [
        "b.zip/0.dcm", "b.zip/inner.zip/1.dcm", "b.zip/inner.zip/2.dcm", "b.zip/3.dcm",
    ]  # fmt: skip
    assert [(runs.out / str(one.out)).read_bytes() for one in outcomes] == [image(n) for n in range(4)]
    assert len(os.listdir("/proc/self/fd")) == before


def test_an_archive_that_goes_away_costs_itself(runs, monkeypatch):
    def gone(path, *_args):
        raise FileNotFoundError(2, "No such file or directory", path)

    monkeypatch.setattr(deidentification, "open_archive", gone)
    archive, other = runs.make("a.zip", zip_entries({"1.dcm": image(1)})), runs.make("2.dcm", image(2))
    assert said(runs(archive, other)) == [("a.zip", "error", "unreadable", None), ("2.dcm", "ok", "", "2.dcm")]


def test_messages_are_in_words_of_ones_own_command_line(runs, monkeypatch):
    scanned = os.scandir

    def scan(path):
        if str(path).rstrip("/").endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return scanned(path)

    monkeypatch.setattr(os, "scandir", scan)
    runs.make("closed/1.dcm", image(1))
    (closed,) = runs(runs.folder / "in")
    assert (closed.code, closed.message) == ("folder_unreadable", "The folder can't be read: permission denied.")

    raw = zip_entries({f"{n}.dcm": image(n) for n in range(3)})
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("1.dcm", bytes(5_000_000))
    lying = bytearray(zip_entries({"1.dcm": HEADER}))
    at = lying.index(b"PK\1\2") + 24
    lying[at : at + 4] = (len(HEADER) + 1).to_bytes(4, "little")
    cases = {
        "many": (raw, Limits(max_entries=2), "too_many_entries", "Take it in parts, or raise SCANDOCK_MAX_ENTRIES."),
        "bytes": (raw, Limits(max_unpacked_bytes=500), "too_many_bytes", "SCANDOCK_MAX_UNPACKED_BYTES."),
        "ratio": (bomb.getvalue(), Limits(ratio_from_bytes=1000, max_ratio=10), "ratio", "SCANDOCK_MAX_RATIO."),
        "entry": (raw, Limits(max_entry_bytes=100), "entry_too_large", "SCANDOCK_MAX_ENTRY_BYTES."),
        "cut": (
            gzip.compress(tar({"1.dcm": random.Random(1).randbytes(9000)}))[:-900],
            Limits(),
            "truncated",
            "The archive is cut short",
        ),
        "cutzip": (raw[:-200], Limits(), "truncated", "Get it again, whole."),
        "lying": (bytes(lying), Limits(), "damaged", f"{len(HEADER)} bytes where {len(HEADER) + 1} bytes are claimed"),
    }
    for name, (data, limits, code, words) in cases.items():
        outcome = runs(runs.make(f"{name}.bin", data), limits=limits, overwrite=True)[-1]
        assert outcome.code == code, (name, outcome)
        assert words in outcome.message, outcome
        for odd in ("server", "upload", "Upload", "send", "Send"):
            assert odd not in outcome.message, outcome
    (plain,) = runs(runs.make("plain.dcm", image(1)), limits=Limits(max_entry_bytes=100))
    assert plain.message.endswith("at most 100 bytes are taken for one file. Raise SCANDOCK_MAX_ENTRY_BYTES.")


def test_folders_that_are_too_deep_get_numbers(runs):
    deep = "/".join(f"patient{n}" for n in range(40))
    entries = {f"{deep}/1.dcm": image(1), f"{deep}/2.dcm": image(2), f"{deep}x/1.dcm": image(3)}
    outcomes = runs(runs.make("a.zip", zip_entries(entries)))
    assert [one.out for one in outcomes] == [
        "a.zip/patient0/deep-1/1.dcm", "a.zip/patient0/deep-1/2.dcm", "a.zip/patient0/deep-2/1.dcm",
    ]  # fmt: skip
