"""The ten tasks of docs/tasks.md, each with as many clicks as the page says."""

from __future__ import annotations

import inspect
import io
import zipfile
from pathlib import Path

from playwright.sync_api import Page

from tests.builders import uploader_layout
from tests.e2e import test_reviewing
from tests.e2e.browsing import Person
from tests.e2e.clicks import ClickCounter, tasks
from tests.e2e.projects import Project, owner, project_of
from tests.e2e.test_reviewing import archived, objects, row, waiting
from tests.e2e.uploading import (
    BROKEN,
    RAW,
    archive,
    hearing_choosers,
    image,
    looked_into,
    outcome,
    released,
    sent,
    slowed,
    start,
    under_way,
)

ELSEWHERE = {
    "Decide a conflict": test_reviewing.test_conflicts_are_decided_in_place,
    "Rename and archive a session": test_reviewing.test_sessions_are_archived_and_renamed_in_two_clicks,
}
"""Tasks whose clicks are counted where all of what they do is tested."""


def test_ten_tasks_take_the_clicks_that_the_documentation_says(browser, project, tmp_path):
    with owner(browser, project, expected=BROKEN) as one:
        hearing_choosers(one.page)
        counter = ClickCounter(one.page)
        done = {
            **upload_ten(one, counter, project, tmp_path),
            **upload_a_folder(one, counter, project, tmp_path),
            **find_and_download(one, counter, project),
            **restore(one, counter, project),
            **add_a_member(one, counter, project),
            **move_and_archive(one, counter, project),
            **go_on(one, counter, project, tmp_path),
        }
    assert [difference for differences in done.values() for difference in differences] == []
    for task, test in ELSEWHERE.items():
        assert f'differences("{task}"' in inspect.getsource(test)
    assert {*done, *ELSEWHERE} == set(tasks())
    assert len(tasks()) == 10


def empty(page: Page, counter: ClickCounter) -> None:
    """Take what was uploaded from the list, which would come back with the page; that is no part of a task."""
    page.get_by_role("button", name="Upload more").click()
    counter.take()


def upload_ten(one: Person, counter: ClickCounter, project: Project, folder: Path) -> dict[str, list[str]]:
    paths = [
        archive(folder / f"visit{n}.zip", {"1.dcm": image(1, study=n, patient=b"P%d" % n, name=b"Doe^%d" % n)})
        for n in range(1, 11)
    ]
    page = one.go(f"/projects/{project.id}")
    page.get_by_role("link", name=f"Upload to {project.id}").click()
    counter.choose(page.get_by_role("button", name="Choose archives or images"), *paths)
    looked_into(page)
    start(page)
    outcome(page, f"10 sessions archived in {project.id}.")
    assert len(archived(project)) == 10
    differences = counter.differences("Upload ten sessions and archive them", {"LUNG": project.id})
    empty(page, counter)
    return {"Upload ten sessions and archive them": differences}


def upload_a_folder(one: Person, counter: ClickCounter, project: Project, folder: Path) -> dict[str, list[str]]:
    images = folder / "disc"
    images.mkdir()
    for n in range(3):
        (images / f"{n}.dcm").write_bytes(image(n, study=20, patient=b"P20", name=b"Roe^Ann"))
    page = one.go(f"/projects/{project.id}")
    page.get_by_role("link", name=f"Upload to {project.id}").click()
    counter.choose(page.get_by_role("button", name="Choose a folder"), images)
    looked_into(page)
    start(page)
    outcome(page, f"1 session archived in {project.id}.")
    assert "P20" in archived(project)
    differences = counter.differences("Upload a folder", {"LUNG": project.id})
    empty(page, counter)
    return {"Upload a folder": differences}


def find_and_download(one: Person, counter: ClickCounter, project: Project) -> dict[str, list[str]]:
    page = one.go(f"/projects/{project.id}")
    page.get_by_role("searchbox", name="Session or subject").click()
    page.keyboard.type("Doe_3")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=Doe_3*")
    sessions = page.locator("table.sessions tbody th a")
    assert sessions.all_inner_texts() == ["P3"]
    sessions.click()
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Download as zip").click()
    content = io.BytesIO(downloading.value.path().read_bytes())
    assert image(1, study=3, patient=b"P3", name=b"Doe^3") in map(
        zipfile.ZipFile(content).read, zipfile.ZipFile(content).namelist()
    )
    words = {"the session": "P3", "the subject": "Doe_3"}
    return {(task := "Find a patient's session and download it"): counter.differences(task, words)}


def restore(one: Person, counter: ClickCounter, project: Project) -> dict[str, list[str]]:
    sessions = project.ask("GET", f"/api/v1/sessions?project={project.id}")[1]["items"]
    [deleted] = [session["id"] for session in sessions if session["label"] == "P3"]
    assert project.ask("DELETE", f"/api/v1/sessions/{deleted}")[0] == 200
    page = one.go(f"/projects/{project.id}")
    page.get_by_role("link", name="Trash").click()
    page.get_by_role("button", name="Restore P3").click()
    page.get_by_text("The session is restored.").wait_for()
    assert "P3" in archived(project)
    return {(task := "Restore a deleted session"): counter.differences(task)}


def add_a_member(one: Person, counter: ClickCounter, project: Project) -> dict[str, list[str]]:
    account = project.account("ann")
    page = one.go(f"/projects/{project.id}")
    page.get_by_role("link", name="Settings and members").click()
    page.get_by_label("Account", exact=True).click()
    page.keyboard.type(account)
    page.get_by_role("button", name="Add").click()
    page.get_by_text("The members are changed.").wait_for()
    members = project.ask("GET", f"/api/v1/projects/{project.id}/members")[1]["items"]
    assert {member["name"]: member["role"] for member in members}[account] == "member"
    return {(task := "Add a member to a project"): counter.differences(task, {"the account": account})}


def move_and_archive(one: Person, counter: ClickCounter, project: Project) -> dict[str, list[str]]:
    entries: dict[str, bytes] = {}
    for n in range(4):
        entries |= uploader_layout(f"S{n}", "1", objects("tasks", [0], study=n))
    project.store(entries, destination="prearchive")
    other = project_of(project.served)
    other.member(project.owner, "member")
    page = one.go("/prearchive")
    row(page, "S3").get_by_role("link", name="Change").click()
    page.get_by_role("textbox", name="Project").click()
    page.keyboard.press("Control+A")
    page.keyboard.type(other.id)
    page.get_by_role("button", name="Change").click()
    page.get_by_role("heading", name="Change: 1 session done").wait_for()
    moving = "Move a waiting session to another project"
    moved = counter.differences(moving, {"the project": other.id})
    assert (waiting(project), waiting(other)) == ({"S0", "S1", "S2", "S3"}, {"S3"})
    one.go("/")
    page.get_by_role("link", name=f"Archive 3 sessions in {project.id}").click()
    page.get_by_role("checkbox", name="Choose all on this page").click()
    page.get_by_role("form", name="With the chosen sessions").get_by_role("button", name="Archive").click()
    page.get_by_role("heading", name="Archive: 3 sessions done").wait_for()
    assert {"S0", "S1", "S2"} < archived(project)
    return {
        moving: moved,
        (task := "Archive all that is ready"): counter.differences(task, {"LUNG": project.id}),
    }


def go_on(one: Person, counter: ClickCounter, project: Project, folder: Path) -> dict[str, list[str]]:
    path = archive(folder / "big.zip", {"s/1.dcm": image(1, study=30, patient=b"P30"), "s/raw.bin": RAW})
    page = one.go(f"/upload?project={project.id}")
    slowed(page)
    counter.choose(page.get_by_role("button", name="Choose archives or images"), path)
    looked_into(page)
    start(page)
    under_way(page)
    one.answering(accept=True)
    page.reload()
    page.get_by_role("heading", name="Not finished").wait_for()
    released(page)
    counter.take()
    counter.choose(page.get_by_role("button", name="Choose it again: big.zip"), path)
    sent(page)
    outcome(page, f"1 session archived in {project.id}.")
    assert "P30" in archived(project)
    return {(task := "Go on with an interrupted upload"): counter.differences(task)}
