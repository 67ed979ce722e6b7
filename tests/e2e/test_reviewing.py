"""What waits is reviewed and decided in place: beside the archive, in so many clicks, one or many at once."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page, expect

from tests.builders import Image, uploader_layout, zip_entries
from tests.e2e.browsing import WIDTHS, person
from tests.e2e.clicks import ClickCounter
from tests.e2e.projects import OWNERS_PASSWORD, Project, log_in, owner, project_of


def objects(case: str, numbers: Any = range(3), **values: Any) -> list[bytes]:
    return [Image(case=case, number=n, **values).file() for n in numbers]


def waiting(project: Project) -> set[str]:
    return {one["label"] for one in project.ask("GET", "/api/v1/prearchive?limit=500")[1]["items"]}


def archived(project: Project) -> set[str]:
    return {one["label"] for one in project.ask("GET", "/api/v1/sessions?limit=500")[1]["items"]}


def row(page: Page, label: str) -> Any:
    return page.locator("tbody", has=page.get_by_role("link", name=label, exact=True))


def clash(project: Project, label: str) -> None:
    """A session that waits beside an archived one with other content: of six files two are the same, one is new."""
    project.placed(project.send(zip_entries(uploader_layout(label, "1", objects(label, range(6))))))
    came = objects(label, range(3), patient_name=b"OTHER") + objects(label, [3, 4]) + objects(label, [7])
    assert project.ended(project.send(zip_entries(uploader_layout(label, "1", came))))["state"] == "held"


def test_conflicts_are_decided_in_place(browser, project):
    for label in ("One", "Two"):
        clash(project, label)
    with owner(browser, project) as one:
        counter = ClickCounter(one.page)
        page = one.go("/prearchive")
        table = page.locator(".waits")
        held = row(page, "One")
        assert held.get_by_text("6 files: 2 in the archive already, 1 new, 3 with other content").is_visible()
        assert held.get_by_role("button", name="Keep new").is_visible() is False
        held.get_by_text("Decide One").click()
        words = "Of the 6 files received, 2 are in the archive already, 1 is new, and 3 have other content than in the"
        for width in ("narrow", "wide"):
            one.resize(width)
            sides = held.get_by_role("table", name="One beside the archived session")
            assert sides.get_by_role("row").all_inner_texts()[4:6] == [
                "Scans\t1\t1",
                "Files\t6\t6",
            ]
            assert held.get_by_text(words).is_visible()
        assert held.get_by_text("3 files replace 3 archived ones. 1 file is added.").is_visible()
        assert one.faults() == []
        # the button says what is replaced, and pressing it confirms that
        held.get_by_role("button", name="Keep new: replace 3 files").click()
        table.get_by_text(f"One: Merged into DOE_JANE / One in {project.id}. 3 files replace 3 archived").wait_for()
        assert counter.differences("Decide a conflict") == []
        assert waiting(project) == {"Two"}

        # by keyboard alone; what deletes all of it is asked once
        other = row(page, "Two")
        other.get_by_text("Decide Two").press("Enter")
        assert other.get_by_role("button", name="Keep old: leave out 3 files").is_visible()
        other.get_by_role("button", name="Delete").press("Enter")
        ask = page.get_by_role("group", name="Confirm")
        assert "Delete Two? Will be moved to the trash." in ask.inner_text()
        expect(ask.get_by_role("button", name="Delete")).to_be_focused()
        assert one.faults() == []
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")  # Cancel
        expect(ask).to_have_count(0)
        assert waiting(project) == {"Two"}
        other.get_by_text("Decide Two").press("Enter")
        other.get_by_role("button", name="Keep both").press("Enter")
        table.get_by_text(f"Two: Merged into DOE_JANE / Two in {project.id}.").wait_for()
        assert page.locator("#polite").inner_text().startswith("Two: Merged into")
        assert one.faults() == []
        assert (waiting(project), counter.take()[0]) == (set(), [])
        assert page.url.endswith("/prearchive")
        table.locator("p", has_text="One: Merged").get_by_role("link", name="Open").click()
        page.get_by_role("heading", name="One", exact=True).wait_for()
        one.go("/activity")
        page.get_by_text("archived since").first.wait_for()
        assert page.get_by_text("It was held for a decision, which has been made.").count() == 2
        one.go("/")
        assert sorted(page.locator(".lines .state").all_inner_texts()) == ["decided", "decided", "imported", "imported"]


def test_sessions_are_archived_and_renamed_in_two_clicks(browser, project):
    entries: dict[str, bytes] = {}
    for n in range(3):
        entries |= uploader_layout(f"S{n}", "1", objects("two", [0], study=n))
    project.store(entries, destination="prearchive")
    many = {
        name: content for n in range(2) for name, content in uploader_layout(
            f"M{n}", "1", objects("label", [0], study=n)
        ).items()
    }  # fmt: skip
    project.store(many, destination="prearchive", session="Same")
    with owner(browser, project) as one:
        counter = ClickCounter(one.page)
        page = one.go("/prearchive?sort=label")
        table = page.locator(".waits")
        renamed = row(page, "S1")
        renamed.get_by_text("Rename and archive S1").click()
        expect(renamed.get_by_role("textbox", name="Label")).to_be_focused()
        page.keyboard.type("First")
        assert one.faults() == []
        renamed.get_by_role("button", name="Rename and archive").click()
        table.get_by_text(f"S1: Archived in {project.id} as DOE_JANE / First.").wait_for()
        assert counter.differences("Rename and archive a session", {"the label": "First"}) == []
        held = page.locator("tbody", has=page.get_by_role("link", name="Same", exact=True)).first
        held.get_by_text("Decide Same").click()
        held.get_by_role("textbox", name="Label").fill("Freed")
        held.get_by_role("button", name="Rename and archive").click()
        table.get_by_text("/ Freed.").wait_for()
        assert len(counter.take()[0]) == 2
        taken = row(page, "S2")
        taken.get_by_text("Rename and archive S2").press("Enter")
        expect(taken.get_by_role("textbox", name="Label")).to_be_focused()
        page.keyboard.type("First")
        page.keyboard.press("Enter")
        taken.get_by_text("That label belongs to another archived session.").wait_for()
        assert taken.get_by_role("textbox", name="Label").input_value() == "First"
        bar = page.get_by_role("form", name="With the chosen sessions")
        for name in ("Archive", "Rebuild", "Delete…"):
            assert bar.get_by_role("button", name=name).is_disabled()
        counter.take()
        row(page, "S0").get_by_role("checkbox").click()
        bar.get_by_role("button", name="Archive").click()
        page.get_by_role("heading", name="Archive: 1 session done").wait_for()
        assert len(counter.take()[0]) == 2  # one of them chooses the session
        assert one.faults() == []
        assert archived(project) == {"S0", "First", "Freed"}


def test_the_buttons_of_a_long_label_are_on_the_screen(browser, project):
    label = "Participant_0001_of_the_longitudinal_study_of_ageing_session_12"
    entries = uploader_layout(label, "1", objects("long", [0]))
    project.store(entries, destination="prearchive", subject=label[::-1])
    with owner(browser, project) as one:
        page = one.go("/prearchive")
        for width in ("narrow", "wide"):
            one.resize(width)
            for shown in (page.get_by_role("button", name=f"Archive {label}"), page.locator(".waits .do .button")):
                box = shown.bounding_box()
                assert box is not None
                assert box["x"] + box["width"] <= WIDTHS[width][0] - 10
            region = page.get_by_role("region", name="Waiting sessions")
            assert region.evaluate("(one) => one.scrollWidth - one.clientWidth") == 0
        assert one.faults() == []


def test_what_was_there_already_is_told_as_nothing_new(browser, project):
    for _ in range(2):
        project.placed(project.send(zip_entries(uploader_layout("One", "1", objects("same")))))
    with owner(browser, project) as one:
        page = one.go("/activity")
        page.get_by_text("Nothing new: 3 files were there already.").wait_for()
        assert page.get_by_text("Nothing new").count() == 1


def test_many_are_archived_at_once_and_each_is_told_of(browser, project):
    entries: dict[str, bytes] = {}
    for n in range(4):
        entries |= uploader_layout(f"S{n}", "1", objects("many", [0], study=n))
    project.store(entries, destination="prearchive")
    mixed = objects("mixed", [0], patient_id=b"A") + objects("mixed", [1], patient_id=b"B")
    assert project.store(uploader_layout("Mixed", "1", mixed))["state"] == "held"
    with owner(browser, project) as one:
        page = one.go("/prearchive?sort=label")
        page.get_by_role("checkbox", name="Choose all on this page").check()
        expect(page.get_by_text("With 5 chosen sessions")).to_be_visible()
        page.get_by_role("checkbox", name="Choose S3").uncheck()
        expect(page.get_by_text("With 4 chosen sessions")).to_be_visible()
        page.get_by_role("form", name="With the chosen sessions").get_by_role("button", name="Archive").click()
        page.get_by_role("heading", name="Archive: 3 sessions done, 1 not").wait_for()
        assert page.get_by_text(f"Archived in {project.id} as DOE_JANE").count() > 0
        assert page.get_by_text("The session waits for a decision").is_visible()
        assert archived(project) == {"S0", "S1", "S2"}
        assert waiting(project) == {"S3", "Mixed"}
        page.get_by_role("link", name="Back to the prearchive").click()
        page.wait_for_url("**/prearchive?sort=label")


def test_labels_are_changed_one_by_one_and_by_a_pattern(browser, project):
    entries: dict[str, bytes] = {}
    for n in range(2):
        entries |= uploader_layout(f"S{n}", "1", objects("change", [0], study=n))
    project.store(entries, destination="prearchive")
    with owner(browser, project) as one:
        page = one.go("/prearchive?sort=label")
        page.get_by_role("link", name="Change project, subject or label of S0").click()
        page.get_by_role("heading", name="Change S0").wait_for()
        page.get_by_role("textbox", name="Subject").fill("Ann")
        page.get_by_role("textbox", name="Label of the session").fill("First")
        assert one.findings() == []
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Change: 1 session done").wait_for()
        assert page.get_by_text(f"Now in the prearchive of {project.id} as First. Subject: Ann.").is_visible()
        assert waiting(project) == {"First", "S1"}
        one.go("/prearchive?sort=label")
        page.get_by_role("checkbox", name="Choose all on this page").check()
        page.locator(".many summary", has_text="Change").click()
        many = page.get_by_role("form", name="With the chosen sessions")
        many.get_by_role("textbox", name="Label").fill("{subject}_{date}_{n}")
        many.get_by_role("textbox", name="Label").press("Enter")
        page.get_by_role("heading", name="Change: 2 sessions").wait_for()
        page.get_by_role("button", name="Change").click()
        page.get_by_role("heading", name="Change: 2 sessions done").wait_for()
        assert waiting(project) == {"Ann_20200131_1", "DOE_JANE_20200131_2"}


def test_deleting_says_what_the_trash_does_and_works_without_scripts(browser, project):
    project.store(uploader_layout("Gone", "1", objects("gone")), destination="prearchive")
    with owner(browser, project, java_script_enabled=False) as one:
        page = one.go("/prearchive")
        page.get_by_role("checkbox", name="Choose Gone").check()
        page.get_by_role("button", name="Delete").click()
        page.get_by_text("The trash keeps deleted sessions for 30 days").wait_for()
        page.get_by_role("link", name="Cancel").click()
        assert waiting(project) == {"Gone"}
        page.get_by_role("checkbox", name="Choose Gone").check()
        page.get_by_role("button", name="Delete").click()
        page.get_by_role("button", name="Delete").click()
        page.get_by_role("heading", name="Delete: 1 session done").wait_for()
        assert waiting(project) == set()
        one.go("/prearchive")
        page.get_by_role("heading", name="Nothing waits").wait_for()


def test_what_belongs_to_no_project_is_explained_and_moved(browser, project):
    project.ended(project.send(zip_entries(uploader_layout("Stray", "1", objects("stray"))), project=""))
    with owner(browser, project) as one:
        page = one.go("/prearchive")
        assert page.get_by_text("Unassigned keeps sessions for which no project was named or found.").is_visible()
        page.get_by_role("link", name="Change project, subject or label of Stray").click()
        page.get_by_role("heading", name="Change Stray").wait_for()
        page.get_by_role("textbox", name="Project").fill(project.id)
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Change: 1 session done").wait_for()
        assert project.ask("GET", f"/api/v1/prearchive?project={project.id}")[1]["items"][0]["label"] == "Stray"


def test_300_sessions_are_sought_sorted_and_paged(browser, project):
    entries: dict[str, bytes] = {}
    for n in range(300):
        entries |= uploader_layout(f"S{n:03d}", "1", objects("crowd", [0], study=n))
    project.store(entries, destination="prearchive")
    with owner(browser, project) as one:
        page = one.go("/prearchive")
        page.get_by_role("link", name="Session", exact=True).click()
        page.wait_for_url("**sort=label*")
        seen: list[str] = []
        while True:
            seen += page.locator("tbody th a").all_inner_texts()
            following = page.get_by_role("link", name="Next page")
            if not following.count():
                break
            before = page.url
            following.click()
            page.wait_for_function("(before) => location.href !== before", arg=before)
            page.wait_for_function("(last) => !document.body.innerText.includes(last)", arg=seen[-1])
        assert seen == [f"S{n:03d}" for n in range(300)]
        page.get_by_role("searchbox", name="Label or subject").fill("s29")
        page.keyboard.press("Enter")
        expect(page.locator("tbody th a")).to_have_count(10)
        search = page.get_by_role("search")
        search.get_by_role("combobox", name="State").select_option("conflict")
        page.get_by_role("button", name="Show").click()
        page.get_by_text("No waiting session is like that.").wait_for()


def test_only_what_one_may_is_offered_and_the_rest_is_told_for_each(browser, project):
    project.store(uploader_layout("Kept", "1", objects("kept")), destination="prearchive")
    ann = project.account("ann", "member")
    with person(browser, project.base, storage_state=log_in(project.base, ann, OWNERS_PASSWORD)) as one:
        page = one.go("/prearchive")
        page.get_by_role("button", name="Archive Kept").wait_for()
        assert page.get_by_role("button", name="Delete").count() == 0
        other = project_of(project.served)
        other.member(ann, "owner")
        other.store(uploader_layout("Own", "1", objects("own")), destination="prearchive")
        one.go("/prearchive")
        page.get_by_role("checkbox", name="Choose all on this page").check()
        page.get_by_role("button", name="Delete…").click()
        page.get_by_role("heading", name="Delete: 1 session, and 1 that can't be").wait_for()
