"""What waits is reviewed and decided: side by side with the archive, shown before it is done, one or many at once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.builders import Image, documented, zipped
from tests.crash.processes import until
from tests.crash.served import ENDS, Served
from tests.e2e.browsing import base_of, person


def objects(case: str, numbers: Any = range(3), **values: Any) -> list[bytes]:
    return [Image(case=case, number=n, **values).file() for n in numbers]


def bring(served: Served, entries: dict[str, bytes], *, project: str = "P", name: str = "one.zip", **more: str) -> str:
    """Import an archive to its end; gives its state."""
    served.project()
    asked = "".join(f"&{key}={value}" for key, value in {**({"project": project} if project else {}), **more}.items())
    status, made = served.ask("POST", f"/api/v1/imports?filename={name}{asked}", zipped(entries))
    assert status == 202, made
    told: dict[str, Any] = {}

    def ended() -> bool:
        told.update(served.ask("GET", f"/api/v1/imports/{made['id']}")[1])
        return told["state"] in ENDS

    until(ended, "the import never ended")
    return str(told["state"])


def waiting(served: Served) -> set[str]:
    return {one["label"] for one in served.ask("GET", "/api/v1/prearchive?limit=500")[1]["items"]}


def archived(served: Served) -> set[str]:
    return {one["label"] for one in served.ask("GET", "/api/v1/sessions?limit=500")[1]["items"]}


def row(page: Page, label: str) -> Any:
    return page.locator("tbody", has=page.get_by_role("link", name=label, exact=True))


@pytest.mark.parametrize(("width", "dark"), [("wide", False), ("narrow", True)], ids=["wide light", "narrow dark"])
def test_conflicts_are_told_side_by_side_and_decided(browser, served, width, dark):
    bring(served, documented("One", "1", objects("clash", range(6))))
    came = objects("clash", range(3), patient_name=b"OTHER") + objects("clash", [3, 4]) + objects("clash", [7])
    assert bring(served, documented("One", "1", came)) == "held"
    with person(browser, base_of(served), width=width, dark=dark) as one:
        page = one.log_in()
        one.go("/prearchive")
        held = row(page, "One")
        sides = held.get_by_role("region", name="One beside what is archived")
        assert sides.get_by_role("row").all_inner_texts()[1:] == [
            "In the archive\tOne\tDOE_JANE\t2020-01-31\t1\t6\t4.1 kB",
            "What came\tOne\tDOE_JANE\t2020-01-31\t1\t6\t4.1 kB",
        ]
        words = "2 files are there already, 1 is new, and 3 are there with other content. The archive has 1 file that"
        assert held.get_by_text(words).is_visible()
        assert one.findings() == []
        assert one.overflow() == 0
        held.get_by_role("button", name="Keep the new").press("Enter")
        page.get_by_role("heading", name="Keep the new: 1 session").wait_for()
        assert page.get_by_text("It will join the session that stands in the archive of P").is_visible()
        assert one.findings() == []
        assert one.overflow() == 0
        assert waiting(served) == {"One"}
        page.get_by_role("button", name="Keep the new").press("Enter")
        page.get_by_role("heading", name="Keep the new: 1 session done").wait_for()
        assert one.findings() == []
        assert waiting(served) == set()
        page.get_by_role("link", name="One", exact=True).click()
        page.get_by_role("heading", name="One", exact=True).wait_for()
        one.go("/activity")
        page.get_by_text("archived since").wait_for()
        assert page.get_by_text("It was held for a decision, which has been made.").is_visible()
        assert page.locator(".import", has_text="needs a decision").count() == 0
        assert page.get_by_text("keep the old, the new or both").count() == 0
        one.go("/")
        assert sorted(page.locator(".lines .state").all_inner_texts()) == ["decided", "imported"]


@pytest.mark.parametrize("width", ["wide", "narrow"])
def test_the_buttons_of_a_long_label_are_on_the_screen(browser, served, width):
    label = "Participant_0001_of_the_longitudinal_study_of_ageing_session_12"
    entries = documented(label, "1", objects("long", [0]))
    bring(served, entries, destination="prearchive", subject=label[::-1])
    with person(browser, base_of(served), width=width) as one:
        page = one.log_in()
        one.go("/prearchive")
        for shown in (page.get_by_role("button", name=f"Archive {label}"), page.locator(".waits .do .button")):
            box = shown.bounding_box()
            assert box is not None
            assert box["x"] + box["width"] <= {"wide": 1280, "narrow": 390}[width] - 10
        region = page.get_by_role("region", name="Waiting sessions")
        assert region.evaluate("(one) => one.scrollWidth - one.clientWidth") == 0
        assert one.findings() == []


def test_what_was_there_already_is_told_as_nothing_new(browser, served):
    for _ in range(2):
        assert bring(served, documented("One", "1", objects("same"))) == "placed"
    with person(browser, base_of(served)) as one:
        page = one.log_in()
        one.go("/activity")
        page.get_by_text("Nothing new: 3 files were there already.").wait_for()
        assert page.get_by_text("Nothing new").count() == 1


def test_many_are_archived_at_once_and_each_is_told_of(browser, served):
    entries: dict[str, bytes] = {}
    for n in range(4):
        entries |= documented(f"S{n}", "1", objects("many", [0], study=n))
    bring(served, entries, destination="prearchive")
    mixed = objects("mixed", [0], patient_id=b"A") + objects("mixed", [1], patient_id=b"B")
    assert bring(served, documented("Mixed", "1", mixed)) == "held"
    with person(browser, base_of(served)) as one:
        page = one.log_in()
        one.go("/prearchive?sort=label")
        page.get_by_role("checkbox", name="Choose all on this page").check()
        expect(page.get_by_text("With 5 chosen sessions")).to_be_visible()
        page.get_by_role("checkbox", name="Choose S3").uncheck()
        expect(page.get_by_text("With 4 chosen sessions")).to_be_visible()
        page.get_by_role("group", name="With the chosen sessions").get_by_role("button", name="Archive").click()
        page.get_by_role("heading", name="Archive: 3 sessions, and 1 that can't be").wait_for()
        assert page.get_by_text("It will stand in the archive of P: subject DOE_JANE").count() > 0
        assert page.get_by_text("The session waits for a decision").is_visible()
        assert one.findings() == []
        assert archived(served) == set()
        page.get_by_role("button", name="Archive").click()
        page.get_by_role("heading", name="Archive: 3 sessions done, 1 not").wait_for()
        assert archived(served) == {"S0", "S1", "S2"}
        assert waiting(served) == {"S3", "Mixed"}
        page.get_by_role("link", name="Back to the prearchive").click()
        page.wait_for_url("**/prearchive?sort=label")


def test_labels_are_changed_one_by_one_and_by_a_pattern(browser, served):
    for n in range(2):
        bring(served, documented(f"S{n}", "1", objects("change", [0], study=n)), destination="prearchive")
    with person(browser, base_of(served)) as one:
        page = one.log_in()
        one.go("/prearchive?sort=label")
        page.get_by_role("link", name="Change project, subject or label of S0").click()
        page.get_by_role("heading", name="Change S0").wait_for()
        page.get_by_role("textbox", name="Subject").fill("Ann")
        page.get_by_role("textbox", name="Label of the session").fill("First")
        assert one.findings() == []
        page.keyboard.press("Enter")
        page.get_by_text("It will stand in the prearchive of P: session First. Its subject: Ann.").wait_for()
        page.get_by_role("button", name="Change").click()
        page.get_by_role("heading", name="Change: 1 session done").wait_for()
        assert waiting(served) == {"First", "S1"}
        one.go("/prearchive?sort=label")
        page.get_by_role("checkbox", name="Choose all on this page").check()
        page.locator(".many summary", has_text="Change").click()
        many = page.get_by_role("group", name="With the chosen sessions")
        many.get_by_role("textbox", name="Label").fill("{subject}_{date}_{n}")
        many.get_by_role("textbox", name="Label").press("Enter")
        page.get_by_role("heading", name="Change: 2 sessions").wait_for()
        page.get_by_role("button", name="Change").click()
        page.get_by_role("heading", name="Change: 2 sessions done").wait_for()
        assert waiting(served) == {"Ann_20200131_1", "DOE_JANE_20200131_2"}


def test_deleting_says_what_the_trash_does_and_works_without_scripts(browser, served):
    bring(served, documented("Gone", "1", objects("gone")), destination="prearchive")
    with person(browser, base_of(served), java_script_enabled=False) as one:
        page = one.log_in()
        one.go("/prearchive")
        page.get_by_role("checkbox", name="Choose Gone").check()
        page.get_by_role("button", name="Delete").click()
        page.get_by_text("The trash keeps deleted sessions for 30 days").wait_for()
        page.get_by_role("link", name="Do nothing").click()
        assert waiting(served) == {"Gone"}
        page.get_by_role("checkbox", name="Choose Gone").check()
        page.get_by_role("button", name="Delete").click()
        page.get_by_role("button", name="Delete").click()
        page.get_by_text("It has gone to the trash.").wait_for()
        assert waiting(served) == set()
        one.go("/prearchive")
        page.get_by_role("heading", name="Nothing waits").wait_for()


def test_what_belongs_to_no_project_is_explained_and_moved(browser, served):
    bring(served, documented("Stray", "1", objects("stray")), project="")
    with person(browser, base_of(served)) as one:
        page = one.log_in()
        one.go("/prearchive")
        assert page.get_by_text("Unassigned keeps sessions for which no project was named or found.").is_visible()
        page.get_by_role("link", name="Change project, subject or label of Stray").click()
        page.get_by_role("heading", name="Change Stray").wait_for()
        page.get_by_role("textbox", name="Project").fill("P")
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Change: 1 session").wait_for()
        page.get_by_role("button", name="Change").click()
        page.get_by_role("heading", name="Change: 1 session done").wait_for()
        assert served.ask("GET", "/api/v1/prearchive?project=P")[1]["items"][0]["label"] == "Stray"


def test_300_sessions_are_sought_sorted_and_paged(browser, served):
    entries: dict[str, bytes] = {}
    for n in range(300):
        entries |= documented(f"S{n:03d}", "1", objects("crowd", [0], study=n))
    bring(served, entries, destination="prearchive")
    with person(browser, base_of(served)) as one:
        page = one.log_in()
        one.go("/prearchive")
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


def test_only_what_one_may_is_offered_and_the_rest_is_told_for_each(browser, served):
    assert served.ask("POST", "/api/v1/projects", b'{"id": "Q", "name": "Q"}')[0] in (201, 409)
    bring(served, documented("Kept", "1", objects("kept")), destination="prearchive")
    account = json.dumps({"name": "ann", "password": "battery staple"}).encode()
    assert served.ask("POST", "/api/v1/accounts", account)[0] == 201
    assert served.ask("PUT", "/api/v1/projects/P/members/ann", b'{"role": "member"}')[0] in (200, 204)
    with person(browser, base_of(served)) as one:
        page = one.log_in("ann", "battery staple")
        one.go("/prearchive")
        page.get_by_role("button", name="Archive Kept").wait_for()
        assert page.get_by_role("button", name="Delete").count() == 0
        assert served.ask("PUT", "/api/v1/projects/Q/members/ann", b'{"role": "owner"}')[0] in (200, 204)
        bring(served, documented("Own", "1", objects("own")), project="Q", destination="prearchive")
        one.go("/prearchive")
        page.get_by_role("checkbox", name="Choose all on this page").check()
        page.get_by_role("button", name="Delete…").click()
        page.get_by_role("heading", name="Delete: 1 session, and 1 that can't be").wait_for()
