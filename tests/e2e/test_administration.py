"""Settings, accounts, tokens, trash and trail, as owners and administrators meet them."""

from __future__ import annotations

import pytest

from tests.builders import Image, uploader_layout
from tests.e2e.browsing import person
from tests.e2e.projects import owner


def test_an_administrator_makes_an_account_and_an_owner_of_it(browser, project, admin):
    ada = f"ada_{project.id}"
    with person(browser, project.base, storage_state=admin, expected=("409",)) as one:  # of the account that was there
        page = one.go("/")
        page.get_by_role("link", name="Admin", exact=True).click()
        page.get_by_role("link", name="Accounts").click()
        page.get_by_label("Name").fill(ada)
        page.get_by_label("Password", exact=True).fill("analytical engine")
        page.get_by_role("button", name="Create account").click()
        page.get_by_text("The account is created.").wait_for()
        page.get_by_label("Name").fill(ada)
        page.get_by_role("button", name="Create account").click()
        assert ada in page.get_by_role("alert").inner_text()
        one.go(f"/projects/{project.id}/settings")
        page.get_by_label("Account", exact=True).fill(ada)
        page.get_by_label("Role", exact=True).select_option("owner")
        page.get_by_role("button", name="Add").click()
        page.get_by_text("The members are changed.").wait_for()
        page.get_by_label("Public").check()
        page.get_by_label("Wait in the prearchive").check()
        page.get_by_role("button", name="Save the settings").click()
        page.get_by_text("The project's settings are changed").wait_for()
    told = project.ask("GET", f"/api/v1/projects/{project.id}")[1]
    assert (told["accessibility"], told["prearchive_code"]) == ("public", 0)
    with person(browser, project.base) as one:
        page = one.log_in(ada, "analytical engine")
        page.get_by_role("link", name="Projects").click()
        page.get_by_role("link", name=project.id, exact=True).click()
        page.get_by_role("link", name="Settings and members").click()
        page.get_by_role("heading", name="Members", exact=True).wait_for()
        assert page.get_by_role("link", name="Admin", exact=True).count() == 0


def test_a_token_is_shown_once_and_serves_until_it_is_revoked(browser, project):
    with owner(browser, project) as one:
        page = one.go("/")
        page.get_by_role("link", name=project.owner, exact=True).click()
        page.get_by_label("Token name").fill("nightly script")
        page.get_by_role("button", name="Create token").click()
        page.get_by_role("heading", name="Your new token").wait_for()
        bearer = page.locator("#h-issued ~ dl dd").nth(2).inner_text()
        ask = page.request
        headers = {"Authorization": f"Bearer {bearer}"}
        assert ask.get(one.base + "/api/v1/tokens", headers=headers).status == 200
        one.go("/account")
        assert bearer not in page.content()
        page.get_by_role("button", name="Revoke nightly script").click()
        page.get_by_text("The token is revoked.").wait_for()
        assert ask.get(one.base + "/api/v1/tokens", headers=headers).status == 401


def test_a_deleted_session_comes_back_and_the_trail_tells_of_it(browser, project):
    project.store(uploader_layout("Kept", "1", [Image(case="Kept", number=n).file() for n in range(2)]))
    sessions = f"/api/v1/sessions?project={project.id}"
    [session] = project.ask("GET", sessions)[1]["items"]
    assert project.ask("DELETE", f"/api/v1/sessions/{session['id']}")[0] == 200
    with owner(browser, project) as one:
        page = one.go(f"/projects/{project.id}/trash")
        page.get_by_role("button", name="Restore").click()
        page.get_by_text("The session is restored.").wait_for()
        one.go(f"/projects/{project.id}/audit?action=restore")
        assert page.get_by_role("row").count() == 2
    assert len(project.ask("GET", sessions)[1]["items"]) == 1


@pytest.fixture
def opened(project):
    """A project that keeps everything again in the end: uploads that name no project go by the strictest one."""
    yield project
    assert project.ask("PUT", f"/api/v1/projects/{project.id}/privacy", b"{}")[0] == 200


def test_an_owner_tries_a_script_makes_the_project_strict_and_uploads_say_so(browser, opened, tmp_path):
    project = opened
    image = Image(case="script", also={0x00100010: (b"PN", b"Doe^Jane"), 0x00100020: (b"LO", b"4711")}).file()
    (tmp_path / "a.dcm").write_bytes(image)
    with owner(browser, project) as one:
        page = one.go(f"/projects/{project.id}")
        page.get_by_role("link", name="Privacy").click()
        page.get_by_text("Imports store images and names as they come.").wait_for()
        page.get_by_role("link", name="script and lookup table").click()
        editor = page.get_by_role("textbox", name="Script", exact=True)
        editor.fill('version "6.6"\n(0010,0010) = subject')
        page.get_by_role("alert").get_by_text("line 2, column 22").wait_for()
        editor.fill('version "6.6"\n(0010,0010) := subject\necho (0010,0020)')
        page.get_by_role("alert").wait_for(state="hidden")
        page.locator("#file").set_input_files(tmp_path / "a.dcm")
        page.get_by_label("Subject").fill("S01")
        page.get_by_role("button", name="Try it on the file").click()
        page.get_by_role("heading", name="An import stores this image as shown below").wait_for()
        assert page.get_by_role("cell", name="(0010,0010) PatientName changed: S01").count() == 1
        page.get_by_role("button", name="Save and switch on").click()
        page.get_by_text("The script is saved and switched on").wait_for()
        page.get_by_role("link", name="Privacy").click()
        page.get_by_role("button", name="Use Strict").click()
        page.get_by_text("The privacy settings are saved").wait_for()
        one.go(f"/upload?project={project.id}")
        page.get_by_text("Removed before anything is stored").wait_for()
        page.locator("#files").set_input_files(tmp_path / "a.dcm")
        page.get_by_text("with labels set by the server").wait_for()
        assert page.locator("input[data-column=subject]").input_value() == ""
