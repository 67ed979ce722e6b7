"""The upload page as people use it: what is dropped is shown before it leaves, named, sent, and stands as it was."""

from __future__ import annotations

import zipfile
from pathlib import Path

from tests.builders import Image
from tests.e2e.browsing import HOST_NAME, person
from tests.e2e.projects import OWNERS_PASSWORD, owner
from tests.e2e.uploading import (
    archive,
    begin,
    drop,
    hearing_choosers,
    image,
    imported,
    looked_into,
    opened,
    outcome,
    sent,
    start,
    stored,
    sums,
)


def row(page, words):
    return page.get_by_role("row").filter(has_text=words)


def test_a_real_archive_is_dropped_shown_renamed_and_stored(browser, project, corpus_archives):
    path = corpus_archives / "PATIENT7__several_studies__pydicom.zip"
    with owner(browser, project) as one:
        page = opened(one, project.id)
        drop(page, path)
        page.get_by_text("1 patient, 4 studies, 9 scans, 24 images").wait_for()
        assert page.get_by_text(
            "The images say that the identity was removed; the name is replaced by Doe Peter."
        ).is_visible()
        carotids = row(page, "Carotids")
        carotids.get_by_label("Session label").fill("neck 1")
        carotids.get_by_label("Session label").press("Tab")
        page.get_by_text("Saved as neck_1.").wait_for()
        row(page, "Brain-MRA").get_by_role("checkbox").uncheck()
        page.get_by_text("Not included: it is uploaded with its archive").wait_for()
        assert one.findings() == []
        start(page)
        sent(page)
    [told] = imported(project)
    assert told["state"] == "placed"
    sessions = {session["label"]: session for session in told["sessions"]}
    assert sessions[None]["code"] == "left_out"
    assert {"neck_1"} < set(sessions)
    with zipfile.ZipFile(path) as packed:
        original = sums(*(packed.read(name) for name in packed.namelist()))
    assert stored(project, sessions["neck_1"]) <= original
    assert told["entries"]["ignored"] == 11


def test_a_folder_is_dropped_and_stored_byte_for_byte(browser, project, tmp_path):
    folder = tmp_path / "Visit ä"
    for n in (1, 2):
        inside = folder / f"s{n}" / ("long folder name " * 8)
        inside.mkdir(parents=True)
        (inside / f"{n}.dcm").write_bytes(image(n))
    (folder / "s1" / "notes.txt").write_bytes(b"of the session")
    (folder / "empty").mkdir()
    with owner(browser, project) as one:
        page = opened(one, project.id)
        begin(page, folder)
        sent(page)
    [told] = imported(project)
    assert (told["archive"], told["state"]) == ("Visit ä.tar", "placed")
    assert stored(project, told["sessions"][0]) == sums(image(1), image(2), b"of the session")


def test_what_is_no_archive_is_told_at_once_and_the_others_go_on(browser, project, tmp_path):
    good = archive(tmp_path / "good.zip", {"1.dcm": image(1)})
    (tmp_path / "page.zip").write_text("<!doctype html><p>Log in first")
    (tmp_path / "old.7z").write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(100))
    (tmp_path / "nothing.zip").write_bytes(b"")
    (tmp_path / "hollow").mkdir()
    with owner(browser, project) as one:
        page = opened(one, project.id)
        drop(page, good, *(tmp_path / name for name in ("page.zip", "old.7z", "nothing.zip", "hollow")))
        looked_into(page)
        told = page.get_by_role("alert").inner_text()
        for words in ("a web page", "a 7z archive", "an empty file", "The folder is empty"):
            assert words in told
        start(page)
        sent(page)
    assert imported(project)[0]["state"] == "placed"


def test_labels_by_pattern_by_finding_and_by_a_table(browser, project, tmp_path):
    entries = {f"s{n}/1.dcm": image(n, study=n, patient=b"P%d" % n, name=b"Doe^%d" % n) for n in range(1, 5)}
    path = archive(tmp_path / "four.zip", entries)
    with owner(browser, project) as one:
        page = opened(one, project.id)
        drop(page, path)
        page.get_by_text("4 patients, 4 studies").wait_for()
        page.get_by_text("Change many labels at once").click()

        def labels(which="Session label"):
            return sorted(box.input_value() for box in page.get_by_label(which).all())

        page.get_by_label("Pattern").fill("V_{PatientID}_{n:2}")
        page.get_by_role("button", name="Apply the pattern").click()
        page.locator(".up-tools").get_by_text("4 of 4 labels changed.").wait_for()
        assert [label[:5] for label in labels()] == ["V_P1_", "V_P2_", "V_P3_", "V_P4_"]
        page.get_by_label("Find", exact=True).fill("V_P")
        page.get_by_label("replace by").fill("visit")
        page.get_by_role("button", name="Replace", exact=True).click()
        assert [label[:8] for label in labels()] == ["visit1_0", "visit2_0", "visit3_0", "visit4_0"]
        page.get_by_role("textbox", name="Table").fill(
            "patient_id,subject,session,leave_out\nP1,S1,one,\nP2,S1,two,\nP3,,,yes\nP9,S9,,\n"
        )
        page.get_by_role("button", name="Apply the table").click()
        page.locator(".up-tools").get_by_text("3 of 4 rows fit 3 studies. Row 5 of the table fits none.").wait_for()
        page.get_by_text("2 sessions give one subject to several patients and will be held for review.").wait_for()
        page.get_by_role("textbox", name="Table").fill("patient_id,session\nP1,...\n")
        page.get_by_role("button", name="Apply the table").click()
        page.locator(".up-tools").get_by_text("Row 2 of the table, column session").wait_for()
        row(page, "Doe 1").get_by_label("Session label").fill("two")
        row(page, "Doe 1").get_by_label("Session label").press("Enter")
        page.get_by_text("2 sessions share a label with another and will be held for review.").first.wait_for()
        assert one.findings() == []
        page.get_by_role("button", name="Undo all changes").click()
        page.wait_for_function("() => document.querySelectorAll('#picks .held').length === 0")
        assert labels() == ["P1", "P2", "P3", "P4"]
        page.get_by_label("Pattern").fill("kept-{PatientID}")
        page.get_by_role("button", name="Apply the pattern").click()
        start(page)
        sent(page)
    [told] = imported(project)
    assert sorted(session["label"] for session in told["sessions"]) == ["kept-P1", "kept-P2", "kept-P3", "kept-P4"]


def test_what_is_there_already_is_said_before(browser, project, tmp_path):
    project.store({"1.dcm": image(1)})
    more = archive(tmp_path / "more.zip", {"2.dcm": image(2), "3.dcm": image(3, study=2)})
    with owner(browser, project) as one:
        page = opened(one, project.id)
        drop(page, more)
        page.get_by_text("1 patient, 2 studies").wait_for()
        page.get_by_text("This study is archived as P1: it goes there.").wait_for()
        boxes = page.get_by_label("Session label")
        for n in range(boxes.count()):
            boxes.nth(n).fill(f"other{n}")
            boxes.nth(n).press("Tab")
        page.get_by_text("under another label it will be held for review").wait_for()
        start(page)
        sent(page)
    [told] = imported(project)
    assert sorted((one["state"], one["code"]) for one in told["sessions"]) == [
        ("archive", ""),
        ("conflict", "study_elsewhere"),
    ]


def test_everything_by_keyboard_alone(browser, project, tmp_path):
    path = archive(tmp_path / "keys.zip", {"1.dcm": image(1)})
    with owner(browser, project) as one:
        hearing_choosers(one.page)
        page = one.go("/upload")
        page.locator("#picks[data-preview]").wait_for(state="attached")

        def to(words):
            for _ in range(40):
                page.keyboard.press("Tab")
                now = page.evaluate(
                    "() => (document.activeElement.getAttribute('aria-label') ?? '') + ' '"
                    " + (document.activeElement.labels?.[0]?.textContent ?? document.activeElement.textContent)"
                )
                if words in now:
                    return
            raise AssertionError(f"Tab never comes to {words!r}")

        page.keyboard.press("Tab")
        to("Choose archives or images")
        with page.expect_file_chooser() as choosing:
            page.keyboard.press("Enter")
        choosing.value.set_files(path)
        looked_into(page)
        to(f"Into {project.id}")
        page.keyboard.press("Enter")
        to("Project")
        to("Project default")
        page.keyboard.press("ArrowDown")
        assert page.locator("input[name=destination][value=prearchive]").is_checked()
        to("Subject of")
        to("Session label of")
        page.keyboard.press("Control+A")
        page.keyboard.type("typed")
        to("Upload")
        page.keyboard.press("Enter")
        sent(page)
        outcome(page, f"1 session in the prearchive of {project.id}")
        to("Review: typed")
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="typed", level=1).wait_for()
    [told] = imported(project)
    assert (told["sessions"][0]["label"], told["sessions"][0]["state"]) == ("typed", "prearchive")


def test_without_scripts_the_form_uploads(browser, project, tmp_path):
    path = archive(tmp_path / "plain.zip", {"1.dcm": image(1), "a.log": b"log"})
    with owner(browser, project, java_script_enabled=False) as one:
        page = one.go("/upload")
        page.locator("#settings > summary").click()
        page.get_by_label("Project", exact=True).fill(project.id)
        page.get_by_label("Keep other files").uncheck()
        page.locator("#file").set_input_files(path)
        page.get_by_role("button", name="Upload", exact=True).click()
        page.get_by_text("The upload is kept, and its import begins.").wait_for()
        assert page.url.startswith(f"{project.base}/imports/")
    [told] = imported(project)
    assert (told["archive"], told["project"], told["state"]) == ("plain.zip", project.id, "placed")
    assert (told["entries"]["stored"], told["entries"]["ignored"]) == (1, 1)


def test_hostile_names_are_shown_as_they_are(browser, project, tmp_path):
    evil = '<img src=x onerror="document.title=1">'
    entries = {
        f"{evil}/1.dcm": image(1, patient=evil.encode(), name=b"<script>alert(1)</script>^&amp;"),
        f"{evil}/{evil}.html": b"x",
        f"{evil}/x.dcm": b"no image",
    }
    path = archive(tmp_path / "evil&lt;b&gt;.zip", entries)
    with owner(browser, project) as one:
        page = opened(one, project.id)
        drop(page, path)
        looked_into(page)
        assert page.get_by_text("<script>alert(1)</script>").first.is_visible()
        page.get_by_text("2 other files, 1 can't be read").click()
        page.get_by_text("1 unneeded file").click()
        assert page.get_by_text(f"{evil}/{evil}.html").is_visible()
        assert page.locator("#picks img, #picks script").count() == 0
        start(page)
        sent(page)
        assert page.locator("#picks img, #tray img").count() == 0
    assert imported(project)[0]["state"] == "placed"


def test_on_plain_http_under_a_host_name_it_works_too(browser, project, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "1.dcm").write_bytes(image(1))
    path = archive(tmp_path / "named.zip", {"2.dcm": image(2, study=2)})
    with person(browser, f"http://{HOST_NAME}:{project.port}") as one:
        one.log_in(project.owner, OWNERS_PASSWORD)
        page = opened(one, project.id)
        assert page.evaluate("() => [isSecureContext, typeof crypto.subtle]") == [False, "undefined"]
        begin(page, folder, path)
        sent(page, 2)
    assert {one["state"] for one in imported(project, 2)} == {"placed"}


def test_long_lists_are_lists(browser, project, tmp_path):
    many = [archive(tmp_path / f"{n}.zip", {"1.dcm": image(1, study=n, patient=b"N%d" % n)}) for n in range(100)]
    studies = {f"{n}/1.dcm": image(1, study=1000 + n, patient=b"S%d" % n) for n in range(300)}
    bulk = archive(tmp_path / "bulk.zip", studies)
    with owner(browser, project) as one:
        page = opened(one, project.id)
        page.set_input_files("#files", [*many, bulk])
        page.get_by_text("300 patients, 300 studies, 300 scans, 300 images").wait_for()
        looked_into(page)
        page.get_by_text("101 archives · 400 sessions").wait_for()
        assert page.locator(".up-study").count() == 400
        for width in ("narrow", "wide"):
            one.resize(width)
            assert one.overflow() == 0
        boxes = page.get_by_label("Session label")
        rows = page.locator(".up-study").element_handles()
        boxes.last.fill("typed")
        boxes.last.press("Tab")
        page.locator(".up-study").last.get_by_text(" / typed").wait_for()
        assert page.evaluate("(rows) => rows.every((row) => row.isConnected)", rows)


def test_preview_of_an_archive_within_an_archive(browser, project, tmp_path):
    inner = archive(tmp_path / "inner.zip", {"1.dcm": image(1)}).read_bytes()
    outer = archive(tmp_path / "outer.zip", {"a/inner.zip": inner, "b.dcm": image(2, study=2, patient=b"P2")})
    with owner(browser, project) as one:
        page = opened(one, project.id)
        drop(page, Path(outer))
        page.get_by_text("2 patients, 2 studies, 2 scans, 2 images").wait_for()


def test_a_patient_keeps_the_subject_that_an_earlier_version_named(browser, project, tmp_path):
    def anna(study, patient):
        charset = {0x00080005: (b"CS", b"ISO_IR 100")}
        name = b"M\xfcller^Anna"
        return Image(case="anna", study=study, patient_id=patient, patient_name=name, also=charset).file()

    project.store({"1.dcm": anna(1, b"P1")}, subject="M_ller_Anna")
    more = archive(tmp_path / "more.zip", {"2.dcm": anna(2, b"P1"), "3.dcm": anna(3, b"P2")})
    with owner(browser, project) as one:
        page = opened(one, project.id)
        drop(page, more)
        page.wait_for_function(
            "() => ['M_ller_Anna', 'Muller_Anna'].every((label) => [...document.querySelectorAll('.up-table input')]"
            ".some((one) => one.value === label))"
        )
        start(page)
        sent(page)
    [told] = imported(project)
    assert sorted(one["subject"] for one in told["sessions"]) == ["M_ller_Anna", "Muller_Anna"]
