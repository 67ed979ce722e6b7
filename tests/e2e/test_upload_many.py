"""Ten archives on the upload page: labels that meet are seen, counted and held; what is there is told truly."""

from __future__ import annotations

import re

from tests.builders import Image
from tests.e2e.projects import owner
from tests.e2e.uploading import archive, drop, image, imported, looked_into, opened, outcome, sent, start, unfolded


def labels(page):
    return [box.input_value() for box in page.get_by_label("Session label").all()]


def by_pattern(page, text):
    page.get_by_label("Pattern").fill(text)
    page.get_by_role("button", name="Apply the pattern").click()


def test_labels_that_meet_are_told_once_counted_filtered_and_held(browser, project, tmp_path):
    paths = [
        archive(tmp_path / f"visit{n}.zip", {"1.dcm": image(1, study=n, patient=b"P%d" % n, name=b"Doe^%d" % n)})
        for n in range(1, 11)
    ]
    with owner(browser, project) as one:
        page = opened(one, project.id)
        drop(page, *paths[::-1])
        looked_into(page)
        names = page.locator(".up-name").all_inner_texts()
        assert names == [f"visit{n}.zip" for n in range(1, 11)]
        assert page.get_by_role("table").count() == 1
        page.get_by_text("Change many labels at once").click()
        by_pattern(page, "{PatientID}_{Nope}")
        page.locator(".up-tools").get_by_text("There is no field {Nope}.").wait_for()
        assert labels(page)[1] == "P2"
        by_pattern(page, "N{n:2}")
        assert labels(page) == [f"N{n:02}" for n in range(1, 11)]
        by_pattern(page, "SAME")
        told = "10 of 10 labels changed. 9 sessions share a label with another and will be held for review."
        page.locator(".up-tools").get_by_text(told).wait_for()
        warnings = page.locator(".up-warnings")
        assert warnings.get_by_text("9 sessions share a label with another and will be held for review.").is_visible()
        page.get_by_label("Session label").first.fill("FREE")
        page.get_by_label("Session label").first.press("Enter")
        warnings.get_by_text("8 sessions share a label with another and will be held for review.").wait_for()
        page.get_by_role("button", name="Show 8: 8 sessions share").click()
        rows = page.locator(".up-study:visible")
        assert (rows.count(), rows.get_by_text("visit2.zip", exact=True).count()) == (8, 0)
        assert rows.get_by_text(f"Will be held for review in {project.id} as").count() == 8
        assert one.findings() == []
        page.get_by_role("button", name="Show all: 8 sessions share").click()
        assert rows.count() == 10
        assert rows.get_by_text(f"Will be archived in {project.id} as").count() == 2
        for n in range(4, 11):
            page.get_by_role("button", name=f"Remove: visit{n}.zip").click()
        warnings.get_by_text("1 session has the label of another and will be held for review.").wait_for()
        assert page.locator("#picks > .bar").get_by_text("3 archives · 3 sessions").is_visible()
        page.get_by_role("button", name="Show 1: 1 session has").click()
        start(page)
        sent(page, 3)
        outcome(page, f"2 sessions archived in {project.id}. 1 session held for review in {project.id}.")
        assert rows.count() == 3
        states = [state for state in page.locator(".up-happens > .state").all_inner_texts() if state]
        assert states == ["archived", "archived", "held for review"]  # the first on the list has the label
        assert page.get_by_role("link", name="Decide: SAME").count() == 1
    sessions = [session for told in imported(project, 3) for session in told["sessions"]]
    assert sorted(session["state"] for session in sessions) == ["archive", "archive", "conflict"]


def test_what_waits_in_the_prearchive_is_left_alone_or_joined_as_the_destination_says(browser, project, tmp_path):
    first = archive(tmp_path / "first.zip", {"1.dcm": image(1)})
    second = archive(tmp_path / "second.zip", {"2.dcm": image(2)})
    third = archive(tmp_path / "third.zip", {"3.dcm": image(3)})
    with owner(browser, project) as one:
        page = opened(one, project.id)
        unfolded(page)
        into = page.get_by_role("group", name="Destination")
        into.get_by_text("Prearchive", exact=True).click()
        drop(page, first)
        looked_into(page)
        page.get_by_label("Session label").fill("SAME")
        page.get_by_label("Session label").press("Enter")
        start(page)
        sent(page)
        imported(project)
        drop(page, second)
        page.get_by_text("This study is in the prearchive as SAME: it goes there.").wait_for()
        start(page)
        sent(page, 2)
        imported(project, 2)
        drop(page, third)
        looked_into(page)
        page.get_by_text("This study is in the prearchive as SAME: it goes there.").wait_for()
        unfolded(page)
        into.get_by_text("Archive", exact=True).click()
        left = "This study is in the prearchive as SAME: that session stays there, and this one will be archived as P1."
        page.get_by_text(left).wait_for()
        page.get_by_label("Subject of").last.fill("other")
        page.get_by_label("Subject of").last.press("Enter")
        page.get_by_text(left).wait_for()
        start(page)
        sent(page, 3)
    states = [[(s["label"], s["state"]) for s in told["sessions"]] for told in imported(project, 3)]
    assert states == [[("SAME", "prearchive")], [("SAME", "prearchive")], [("P1", "archive")]]


def test_names_written_to_the_left_leave_the_row_and_sentences_as_they_are(browser, project, tmp_path):
    evil = Image(
        case="rtl",
        study=1,
        patient_id=b"P1",
        patient_name="Doe\u202egnp.^x".encode(),
        also={0x00080005: (b"CS", b"ISO_IR 192")},
    ).file()
    hebrew = Image(
        case="rtl",
        study=2,
        patient_id=b"P2",
        patient_name="כהן^דוד".encode(),
        also={0x00080005: (b"CS", b"ISO_IR 192")},
    ).file()
    path = archive(tmp_path / "a\u202epiz.zip", {"1/1.dcm": evil, "2/1.dcm": hebrew})
    with owner(browser, project) as one:
        page = opened(one, project.id)
        drop(page, path)
        looked_into(page)
        assert "\u202e" not in page.locator("#picks").inner_text()
        assert "(Doe\\u202egnp. x; \u2068כהן דוד\u2069) will leave" in page.locator(".up-people").inner_text()
        assert page.locator(".up-name").inner_text() == "a\\u202epiz.zip"
        start(page)
        sent(page)
        assert "\u202e" not in page.locator("#picks").inner_text()
        assert imported(project)[0]["state"] == "placed"
        page.reload()
        page.locator(".up-name").wait_for()
        assert page.locator(".up-name").inner_text() == "a\\u202epiz.zip"  # as before


def test_frames_are_images_and_the_site_says_its_limit_as_its_settings_do(browser, project, tmp_path):
    def frames(n, count):
        return Image(case="frames", number=n, patient_id=b"P1", also={0x00280008: (b"IS", count)}).file()

    path = archive(tmp_path / "many.zip", {f"{n}.dcm": frames(n, b"12") for n in (1, 2)})
    with owner(browser, project) as one:
        page = opened(one, project.id)
        assert page.get_by_text("At most 256 GiB each.").is_visible()
        unfolded(page)
        page.get_by_label("Project", exact=True).fill("")
        drop(page, path)
        looked_into(page)
        page.get_by_role("cell", name="24 in 2 files").wait_for()
        assert page.locator("#picks > .bar").get_by_text("Name a project first.").is_visible()
        assert page.get_by_role("button", name="Upload", exact=True).is_disabled()
        page.get_by_label("Project", exact=True).fill(project.id)
        looked_into(page)
        start(page)
        sent(page)
        imported(project)
        page = one.go(f"/projects/{project.id}/sessions/P1")
        assert page.get_by_text("24 images").first.is_visible()


def test_what_rows_say_of_archives_that_meet_is_what_comes_of_them(browser, project, tmp_path):
    project.store({"1.dcm": image(1, study=9, patient=b"S0", name=b"Same^Name")})
    conflict = image(1, study=5, patient=b"K1", name=b"Conf^Lict")
    damaged = bytearray(archive(tmp_path / "whole.zip", {"bad.dcm": image(1, study=6, patient=b"D1")}).read_bytes())
    damaged[200:300] = bytes(100)
    (tmp_path / "damaged.zip").write_bytes(damaged)
    paths = [
        archive(tmp_path / "confA.zip", {"1.dcm": conflict}),
        archive(tmp_path / "confB.zip", {"1.dcm": conflict[:-2] + b"ab"}),
        tmp_path / "damaged.zip",
        *(
            archive(tmp_path / f"same{n}.zip", {"1.dcm": image(1, study=n, patient=b"S%d" % n, name=b"Same^Name")})
            for n in (0, 1, 2)
        ),
    ]
    with owner(browser, project) as one:
        page = opened(one, project.id)
        drop(page, *paths)
        looked_into(page)
        rows = page.locator(".up-study")
        refused = page.locator(".up-archive").filter(has_text="damaged.zip")
        refused.get_by_text("The server would refuse it: bad.dcm in it is damaged.").wait_for()
        page.get_by_text("2 studies with images that other archives have too: identical ones are stored").wait_for()
        page.get_by_text("2 sessions whose subject is another patient's already: a code was added").wait_for()
        said = [
            box.input_value()
            for box in rows.filter(has_text=re.compile(r"same\d\.zip")).get_by_label("Subject of").all()
        ]
        assert (said[0], len(set(said)), page.get_by_text("has another subject").count()) == ("Same_Name", 3, 0)
        start(page)
        sent(page, 5)
        outcome(page, f"4 sessions archived in {project.id}. 1 session held for review in {project.id}.")
    came = {session["study_uid"]: session for told in imported(project, 5) for session in told["sessions"]}
    assert sorted(session["subject"] for session in came.values()) == sorted([*said, "Conf_Lict"])
