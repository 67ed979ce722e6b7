"""Ten archives on the upload page: labels that meet are seen, counted and held; what is there is told truly."""

from __future__ import annotations

from tests.builders import Image
from tests.e2e.projects import owner
from tests.e2e.uploading import archive, drop, image, imported, looked_into, opened, sent, start, unfolded


def opened_tables(page):
    return page.locator(".up-pick > details[open]").count()


def by_pattern(page, text):
    page.get_by_label("Pattern").fill(text)
    page.get_by_role("button", name="Apply the pattern").click()


def test_labels_that_meet_are_opened_counted_and_held(browser, project, tmp_path):
    paths = [
        archive(tmp_path / f"visit{n}.zip", {"1.dcm": image(1, study=n, patient=b"P%d" % n, name=b"Doe^%d" % n)})
        for n in range(1, 11)
    ]
    with owner(browser, project) as one:
        page = opened(one, project.id)
        drop(page, *paths[::-1])
        looked_into(page)
        names = page.locator(".up-pick h3").all_inner_texts()
        assert names == [f"visit{n}.zip" for n in range(1, 11)]
        assert opened_tables(page) == 0
        assert page.locator(".up-pick summary").nth(1).get_by_text("as P2").is_visible()
        page.get_by_role("button", name="Open all").click()
        assert opened_tables(page) == 10
        page.get_by_role("button", name="Fold all").click()
        assert opened_tables(page) == 0
        page.get_by_text("Change many labels at once").click()
        by_pattern(page, "{PatientID}_{Nope}")
        page.locator(".up-tools").get_by_text("There is no field {Nope}.").wait_for()
        assert page.locator(".up-pick summary").nth(1).get_by_text("as P2").is_visible()
        by_pattern(page, "N{n:2}")
        labels = page.locator(".up-pick .up-labels").all_inner_texts()
        assert [label.strip() for label in labels] == [f"as N{n:02}" for n in range(1, 11)]
        by_pattern(page, "SAME")
        told = "10 of 10 labels changed. 9 labels meet: those sessions will wait for a decision."
        page.locator(".up-tools").get_by_text(told).wait_for()
        assert page.locator("#picks > .bar").get_by_text("9 labels meet: those sessions will wait").is_visible()
        assert one.findings() == []
        for n in range(4, 11):
            page.get_by_role("button", name=f"Take off the list: visit{n}.zip").click()
        page.locator("#picks > .bar").get_by_text("2 labels meet: those sessions will wait").wait_for()
        start(page)
        sent(page, 3)
    sessions = [session for told in imported(project, 3) for session in told["sessions"]]
    assert sorted(session["state"] for session in sessions) == ["archive", "conflict", "conflict"]


def test_an_archive_with_a_warning_opens_by_itself_unless_it_was_folded(browser, project, tmp_path):
    paths = [
        archive(tmp_path / f"{n}.zip", {"1.dcm": image(1, study=n, patient=b"P%d" % min(n, 4))}) for n in range(1, 6)
    ]
    with owner(browser, project) as one:
        page = opened(one, project.id)
        page.set_input_files("#files", paths)
        looked_into(page)
        page.get_by_text("4.zip brings another study with this label: the later one gets a suffix.").wait_for()
        assert opened_tables(page) == 2
        page.locator(".up-pick summary").nth(3).click()
        page.get_by_label("Ignore unparseable").evaluate("(box) => box.click()")
        assert opened_tables(page) == 1


def test_what_waits_in_the_prearchive_is_left_alone_or_joined_as_the_destination_says(browser, project, tmp_path):
    first = archive(tmp_path / "first.zip", {"1.dcm": image(1)})
    second = archive(tmp_path / "second.zip", {"2.dcm": image(2)})
    third = archive(tmp_path / "third.zip", {"3.dcm": image(3)})
    with owner(browser, project) as one:
        page = opened(one, project.id)
        page.get_by_text("Destination, overwriting").click()
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
        into.get_by_text("Archive", exact=True).click()
        left = "This study is in the prearchive as SAME: that stays there, and what comes is archived as P1."
        page.get_by_text(left).wait_for()
        page.get_by_label("Subject of").fill("other")
        page.get_by_label("Subject of").press("Enter")
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
        assert page.locator(".up-pick h3").inner_text() == "a\\u202epiz.zip"
        start(page)
        sent(page)
        assert "\u202e" not in page.locator("#transfers").inner_text()
    assert imported(project)[0]["state"] == "placed"


def test_frames_are_images_and_the_site_says_its_limit_as_its_settings_do(browser, project, tmp_path):
    def frames(n, count):
        return Image(case="frames", number=n, patient_id=b"P1", also={0x00280008: (b"IS", count)}).file()

    path = archive(tmp_path / "many.zip", {f"{n}.dcm": frames(n, b"12") for n in (1, 2)})
    with owner(browser, project) as one:
        page = opened(one, project.id)
        assert page.get_by_text("At most 256 GiB each.").is_visible()
        page.get_by_label("Project", exact=True).fill("")
        drop(page, path)
        looked_into(page)
        page.get_by_text("1 scan, 24 images in 2 files").wait_for()
        assert page.locator("#picks > .bar").get_by_text("no project named yet").is_visible()
        page.get_by_label("Project", exact=True).fill(project.id)
        looked_into(page)
        start(page)
        sent(page)
        imported(project)
        page = one.go(f"/projects/{project.id}/sessions/P1")
        assert page.get_by_text("24 images").first.is_visible()
