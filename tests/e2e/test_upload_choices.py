"""What a person chooses before an upload: where it goes, what is done with it, and tables that name many studies."""

from __future__ import annotations

import base64
from dataclasses import replace

from tests.builders import Image
from tests.e2e.projects import owner, project_of
from tests.e2e.uploading import archive, drop, image, imported, looked_into, opened, outcome, sent, start, unfolded


def metadata(page):
    """What the uploads of the page tell the server beside their bytes, filled as they begin."""
    told = []

    def hear(request):
        pairs = request.headers.get("upload-metadata", "")
        if request.method == "POST" and pairs:
            told.append(
                {name: base64.b64decode(text).decode() for name, text in (p.split(" ") for p in pairs.split(","))}
            )

    page.on("request", hear)
    return told


def test_every_choice_is_explained_and_goes_along(browser, project, tmp_path):
    entries = {"1.dcm": image(1), "bad.dcm": b"no image at all", "notes.txt": b"words"}
    path = archive(tmp_path / "odd.zip", entries)
    with owner(browser, project) as one:
        page = opened(one, project.id)
        unfolded(page)
        assert f"The only one that you can upload to is {project.id}." in page.locator("main").inner_text()
        page.get_by_text("What we keep about patients").click()
        assert page.get_by_text("The server also keeps, where members of the project see them").is_visible()
        unexplained = page.evaluate(
            "() => [...document.querySelectorAll('#upload .choice')].filter((one) =>"
            " !one.querySelector('.help') && one.querySelector('input')?.value !== 'project').length"
        )
        assert unexplained == 0
        assert page.get_by_text("Project default: sessions are archived").is_visible()
        page.get_by_label("Keep what is archived").check()
        page.get_by_label("Keep other files").uncheck()
        drop(page, path)
        looked_into(page)
        page.get_by_text("2 other files, 1 can't be read").click()
        assert page.get_by_text("1 other file kept with its session (not kept, as chosen)").is_visible()
        page.get_by_label("Ignore unreadable files").uncheck()
        assert page.get_by_text("the archive will be refused, as chosen").is_visible()
        assert page.locator(".up-warnings .stop").get_by_text("odd.zip will be refused").is_visible()
        told = metadata(page)
        start(page)
        sent(page)
        outcome(page, "1 archive refused.")
        again = archive(tmp_path / "good.zip", {"1.dcm": image(1)})
        with page.expect_file_chooser() as choosing:
            page.get_by_role("button", name="Choose another file: odd.zip").click()
        choosing.value.set_files(again)
        looked_into(page)
        assert page.locator(".up-name").all_inner_texts() == ["good.zip"]
        assert page.locator("#settings-are").inner_text().startswith("keep what is archived")
    [said] = told
    wanted = {"project": project.id, "overwrite": "none", "ignore_unparsable": "false", "resources": "ignore"}
    assert wanted.items() <= said.items()
    assert said["filename"] == "odd.zip"
    [refused] = imported(project)
    assert (refused["state"], refused["entries"]["stored"]) == ("refused", 0)


def test_a_project_is_found_by_its_name_in_any_case_and_another_is_told(browser, project, tmp_path):
    other = project_of(project.served, "Ageing_", "Ageing and cognition")
    other.member(project.owner, "member")
    entries = {f"{n}.dcm": image(n, study=n, patient=b"P%d" % n, name=b"Doe^%d" % n) for n in (1, 2)}
    path = archive(tmp_path / "two.zip", entries)
    with owner(browser, project) as one:
        page = opened(one, "nowhere")
        unfolded(page)
        assert page.get_by_text("You can upload to 2 projects").is_visible()
        offered = page.locator(f"#projects option[value={other.id}]")
        assert offered.text_content() == "Ageing and cognition"
        drop(page, path)
        looked_into(page)
        page.locator("#up-reason").get_by_text("No project “nowhere”, or you can't upload to it.").wait_for()
        button = page.get_by_role("button", name="Upload", exact=True)
        assert button.is_disabled()
        assert button.get_attribute("aria-describedby") == "up-reason"
        assert page.locator("#settings-into").inner_text() == "No project “nowhere”"
        row, bar = page.locator(".up-study .up-plan").first, page.locator(".up-ready-words")
        assert row.inner_text() == "No project “nowhere”, or you can't upload to it."
        assert "nowhere" not in bar.inner_text()
        page.get_by_label("Project", exact=True).fill("")
        assert (page.locator("#settings-into").inner_text(), row.inner_text()) == (
            "No project named",
            "Name a project first.",
        )
        page.get_by_label("Project", exact=True).fill(other.id.lower())
        page.keyboard.press("Enter")  # nothing is missing: the settings are one line, and after a reload, too
        assert page.locator("#settings").get_attribute("open") is None
        assert page.evaluate("() => document.activeElement.innerText").startswith(f"Into {other.id}")
        looked_into(page)
        page.once("dialog", lambda dialog: dialog.accept())
        page.reload()
        page.locator("#picks[data-preview]").wait_for(state="attached")
        assert page.locator("#settings-into").inner_text() == f"Into {other.id}"
        assert page.locator("#settings").get_attribute("open") is None
        order = "() => ['#drop', '#settings', '#unfinished'].map((id) => document.querySelector(id).offsetTop)"
        assert page.evaluate(order) == sorted(page.evaluate(order))
        drop(page, path)
        looked_into(page)
        # each study may have a project of its own
        page.get_by_role("button", name="Project per study").click()
        cell = page.get_by_label("Project of").nth(1)
        assert cell.input_value() == other.id
        cell.fill("nowhere")
        page.keyboard.press("Enter")
        page.locator(".up-study").nth(1).get_by_text("No project “nowhere”, or you can't upload to it.").wait_for()
        said = f"Project of {page.locator('.up-study').nth(1).locator('.up-what > span').first.inner_text()}, Doe 2"
        reason = f"{said}: No project “nowhere”, or you can't upload to it."
        assert page.locator("#up-reason").inner_text() == reason
        assert button.is_disabled()
        page.get_by_role("checkbox", name="of Doe 2").uncheck()  # what is not included stops nothing
        assert button.is_enabled()
        page.get_by_role("checkbox", name="of Doe 2").check()
        cell.fill(project.id.lower())
        page.keyboard.press("Enter")
        page.locator(".up-study").nth(1).get_by_text(f"Will be archived in {project.id} as").wait_for()
        assert bar.inner_text().endswith("→ 2 projects")
        looked_into(page)
        assert one.faults() == []
        start(page)
        sent(page)
    [told] = imported(project)
    assert (told["project"], told["state"]) == (other.id, "placed")
    assert {session["label"]: session["project"] for session in told["sessions"]} == {"P1": other.id, "P2": project.id}


def test_who_may_upload_nowhere_uploads_to_unassigned(browser, project, tmp_path):
    nowhere = replace(project, owner=project.account("ann"))
    path = archive(tmp_path / "one.zip", {"1.dcm": image(1)})
    with owner(browser, nowhere) as one:
        page = one.go("/upload")
        assert page.get_by_text("There is no project that you can upload to").is_visible()
        page.locator("#picks[data-preview]").wait_for(state="attached")
        drop(page, path)
        looked_into(page)
        words = "1 study names no project that you can upload to and will wait in the prearchive without a project."
        page.get_by_text(words).wait_for()
        assert one.findings() == []
        start(page)
        sent(page)
    [told] = imported(nowhere)
    assert [session["project"] for session in told["sessions"]] == ["Unassigned"]


def test_names_birth_dates_and_labels_that_meet_across_archives_are_told(browser, project, tmp_path):
    born = Image(case="born", study=1, patient_name=b"Roe^Ann", also={0x00100030: (b"DA", b"19600102")}).file()
    first = archive(tmp_path / "first.zip", {"1.dcm": born})
    second = archive(tmp_path / "second.zip", {"1.dcm": image(2, study=2, patient=b"PAT1", name=b"Roe^Ann")})
    with owner(browser, project) as one:
        page = opened(one, project.id)
        drop(page, first, second)
        looked_into(page)
        assert page.get_by_text("1 patient name (Roe Ann) and 1 birth date will leave this machine").is_visible()
        assert page.get_by_text("born 1960-01-02").is_visible()
        page.get_by_text("second.zip brings another study with this label: one of the two gets a suffix.").wait_for()
        label = page.locator(".up-archive").nth(1).get_by_label("Session label")
        first_label = page.locator(".up-archive").nth(0).get_by_label("Session label").input_value()
        label.fill("other")
        label.press("Enter")
        page.wait_for_function("() => !document.body.innerText.includes('brings another study')")
        label.fill(first_label)
        label.press("Enter")
        told = f"{first_label} is in first.zip with another study: this one will be held for review."
        page.locator(".up-archive").nth(1).get_by_text(told).wait_for()
        page.locator(".up-archive").nth(0).get_by_text("Will be archived in").wait_for()


def test_a_table_is_dropped_and_holds_for_what_comes_after_it(browser, project, tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("patient_id,subject,session\nN1,S1,first\nN2,S2,second\nN3,S3,third\n")
    visits = [
        archive(tmp_path / f"{n}.zip", {"1.dcm": image(1, study=n, patient=b"N%d" % n, name=b"Roe^%d" % n)})
        for n in (1, 2, 3)
    ]
    with owner(browser, project) as one:
        page = opened(one, project.id)
        drop(page, table)
        page.locator(".up-tools").get_by_text("None of 3 rows fits a study so far").wait_for()
        drop(page, *visits)
        looked_into(page)
        assert sorted(box.input_value() for box in page.get_by_label("Session label").all()) == [
            "first",
            "second",
            "third",
        ]
        assert page.get_by_role("alert").inner_text() == ""
        assert one.findings() == []
        page.get_by_role("row").filter(has_text="Roe 2").get_by_label("Session label").fill("own")
        page.get_by_role("row").filter(has_text="Roe 2").get_by_label("Session label").press("Enter")
        start(page)
        sent(page, 3)
    sessions = [(s["subject"], s["label"]) for told in imported(project, 3) for s in told["sessions"]]
    assert sorted(sessions) == [("S1", "first"), ("S2", "own"), ("S3", "third")]


def hasty(route):
    """The preview with no time at all: it stops after one entry."""
    answer = route.fetch()
    body = answer.text()
    assert "BUDGET = 30_000" in body
    route.fulfill(response=answer, body=body.replace("BUDGET = 30_000", "BUDGET = -1"))


def test_partial_numbers_say_so_and_a_table_names_what_was_not_looked_at(browser, plain_project, tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("patient_id,session\nN1,first\nN2,second\n")
    entries = {f"{n}/1.dcm": image(1, study=n, patient=b"N%d" % n, name=b"Roe^%d" % n) for n in (1, 2)}
    path = archive(tmp_path / "two.zip", entries)
    with owner(browser, plain_project) as one:
        one.page.context.route("**/js/upload/preview.js", hasty)
        page = opened(one, plain_project.id)
        drop(page, path, table)
        page.get_by_text("Only 1 of 2 files were read").wait_for()
        assert page.get_by_text("The server will read all of them").is_visible()
        looked_into(page)
        start(page)
        sent(page)
    [told] = imported(plain_project)
    assert sorted(session["label"] for session in told["sessions"]) == ["first", "second"]
