"""An archived session is renamed, deleted and brought back from its own page, each shown before it is done."""

from __future__ import annotations

import json

from tests.builders import documented
from tests.crash.served import Served
from tests.e2e.browsing import base_of, person
from tests.e2e.test_reviewing import archived, bring, objects

PASSWORD = "battery staple"


def account(served: Served, name: str, **roles: str) -> None:
    assert served.ask("POST", "/api/v1/accounts", json.dumps({"name": name, "password": PASSWORD}).encode())[0] == 201
    for project, role in roles.items():
        body = json.dumps({"role": role}).encode()
        assert served.ask("PUT", f"/api/v1/projects/{project}/members/{name}", body)[0] in (200, 204)


def test_a_session_is_renamed_deleted_and_brought_back(browser, served):
    bring(served, documented("Old", "1", objects("rename")))
    with person(browser, base_of(served)) as one:
        page = one.log_in()
        one.go("/projects/P/sessions/Old")
        page.get_by_role("link", name="Change the subject or label of Old").click()
        page.get_by_role("heading", name="Change Old").wait_for()
        assert page.get_by_role("textbox", name="Project").count() == 0
        assert one.findings() == []
        page.get_by_role("textbox", name="Label of the session").fill("New")
        page.keyboard.press("Enter")
        page.get_by_text("It will stand in the archive of P: subject DOE_JANE, session New.").wait_for()
        assert archived(served) == {"Old"}
        assert one.findings() == []
        page.get_by_role("button", name="Change").click()
        page.get_by_role("heading", name="Change: 1 session done").wait_for()
        assert archived(served) == {"New"}

        one.go("/projects/P/sessions/New")
        page.get_by_role("link", name="Delete New").click()
        page.get_by_text("The trash keeps deleted sessions for 30 days").wait_for()
        page.get_by_role("link", name="Do nothing").click()
        page.get_by_role("heading", name="New", level=1).wait_for()
        page.get_by_role("link", name="Delete New").click()
        page.get_by_role("button", name="Delete").click()
        page.get_by_text("It has gone to the trash.").wait_for()
        assert archived(served) == set()
        page.get_by_role("link", name="Back to P").click()
        page.get_by_role("link", name="Trash").click()
        page.get_by_role("button", name="Bring back New").click()
        page.get_by_text("The session is back where it stood.").wait_for()
        assert archived(served) == {"New"}


def test_a_session_is_put_into_quarantine_and_activated(browser, served):
    bring(served, documented("Seen", "1", objects("quarantine")))
    with person(browser, base_of(served)) as one:
        page = one.log_in()
        one.go("/projects/P/sessions/Seen")
        page.get_by_role("button", name="Put into quarantine").click()
        page.get_by_text("The session is in quarantine until an owner of its project activates it.").wait_for()
        assert one.findings() == []
        one.go("/projects/P")
        assert "Seen quarantine" in page.get_by_role("row", name="Seen").inner_text()
        page.get_by_role("link", name="Seen").click()
        page.get_by_role("button", name="Activate").click()
        page.get_by_text("The session is out of quarantine.").wait_for()
        assert page.get_by_text("in quarantine").count() == 0


def test_a_label_that_is_taken_is_told_before_anything_is_done(browser, served):
    bring(served, documented("One", "1", objects("taken", study=1)))
    bring(served, documented("Two", "1", objects("taken", study=2)))
    with person(browser, base_of(served)) as one:
        page = one.log_in()
        one.go("/projects/P/sessions/One")
        page.get_by_role("link", name="Change the subject or label of One").click()
        page.get_by_role("textbox", name="Label of the session").fill("Two")
        page.keyboard.press("Enter")
        page.get_by_text("There is a session of that label already.").wait_for()
        assert page.get_by_role("button", name="Change").count() == 0


def test_only_what_one_may_is_offered(browser, served):
    bring(served, documented("Kept", "1", objects("kept")))
    account(served, "ann", P="member")
    account(served, "cole", P="collaborator")
    for name, offered in (("ann", 1), ("cole", 0)):
        with person(browser, base_of(served)) as one:
            page = one.log_in(name, PASSWORD)
            one.go("/projects/P/sessions/Kept")
            page.get_by_role("heading", name="Kept", level=1).wait_for()
            assert page.get_by_role("link", name="Change the subject or label of Kept").count() == offered
            assert page.get_by_role("link", name="Delete Kept").count() == 0
