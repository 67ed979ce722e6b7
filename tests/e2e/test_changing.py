"""An archived session is renamed, deleted and brought back from its own page; deleting is confirmed first."""

from __future__ import annotations

from tests.builders import uploader_layout
from tests.e2e.browsing import person
from tests.e2e.projects import OWNERS_PASSWORD, log_in, owner
from tests.e2e.test_reviewing import archived, objects


def test_a_session_is_renamed_deleted_and_brought_back(browser, project):
    project.store(uploader_layout("Old", "1", objects("rename")))
    with owner(browser, project) as one:
        page = one.go(f"/projects/{project.id}/sessions/Old")
        page.get_by_role("link", name="Change the subject or label of Old").click()
        page.get_by_role("heading", name="Change Old").wait_for()
        assert page.get_by_role("textbox", name="Project").count() == 0
        assert one.findings() == []
        page.get_by_role("textbox", name="Label of the session").fill("New")
        page.keyboard.press("Enter")
        page.get_by_text(f"Now in {project.id} as DOE_JANE / New.").wait_for()
        assert one.findings() == []
        assert archived(project) == {"New"}

        one.go(f"/projects/{project.id}/sessions/New")
        page.get_by_role("link", name="Delete New").click()
        page.get_by_text("The trash keeps deleted sessions for 30 days").wait_for()
        page.get_by_role("link", name="Cancel").click()
        page.get_by_role("heading", name="New", level=1).wait_for()
        page.get_by_role("link", name="Delete New").click()
        page.get_by_role("button", name="Delete").click()
        page.get_by_role("heading", name="Delete: 1 session done").wait_for()
        assert archived(project) == set()
        page.get_by_role("link", name=f"Back to {project.id}").click()
        page.get_by_role("link", name="Trash").click()
        page.get_by_role("button", name="Restore New").click()
        page.get_by_text("The session is restored.").wait_for()
        assert archived(project) == {"New"}


def test_a_session_is_put_into_quarantine_and_activated(browser, project):
    project.store(uploader_layout("Seen", "1", objects("quarantine")))
    with owner(browser, project) as one:
        page = one.go(f"/projects/{project.id}/sessions/Seen")
        page.get_by_role("button", name="Put into quarantine").click()
        page.get_by_text("The session is in quarantine until an owner of its project activates it.").wait_for()
        assert one.findings() == []
        one.go(f"/projects/{project.id}")
        assert "Seen quarantine" in page.get_by_role("row", name="Seen").inner_text()
        page.get_by_role("link", name="Seen").click()
        page.get_by_role("button", name="Activate").click()
        page.get_by_text("The session is out of quarantine.").wait_for()
        assert page.get_by_text("in quarantine").count() == 0


def test_a_label_that_is_taken_is_told(browser, project):
    one_and_two = uploader_layout("One", "1", objects("taken", study=1)) | uploader_layout(
        "Two", "1", objects("taken", study=2)
    )
    project.store(one_and_two)
    with owner(browser, project) as one:
        page = one.go(f"/projects/{project.id}/sessions/One")
        page.get_by_role("link", name="Change the subject or label of One").click()
        page.get_by_role("textbox", name="Label of the session").fill("Two")
        page.keyboard.press("Enter")
        page.get_by_text("There is a session of that label already.").wait_for()
        assert archived(project) == {"One", "Two"}


def test_only_what_one_may_is_offered(browser, project):
    project.store(uploader_layout("Kept", "1", objects("kept")))
    for role, offered in (("member", 1), ("collaborator", 0)):
        login = log_in(project.base, project.account(f"a_{role}", role), OWNERS_PASSWORD)
        with person(browser, project.base, storage_state=login) as one:
            page = one.go(f"/projects/{project.id}/sessions/Kept")
            page.get_by_role("heading", name="Kept", level=1).wait_for()
            assert page.get_by_role("link", name="Change the subject or label of Kept").count() == offered
            assert page.get_by_role("link", name="Delete Kept").count() == 0
