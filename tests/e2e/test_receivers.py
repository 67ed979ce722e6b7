"""DICOM receivers as an administrator meets them, with a sender that sends to the one that was just made."""

from __future__ import annotations

from tests.builders import images
from tests.crash.processes import until
from tests.dicom_sender import DicomSender
from tests.e2e.browsing import person
from tests.ports import free_port


def test_a_receiver_is_made_takes_a_study_and_is_removed(browser, project, admin):
    title, port = f"AE{project.id}"[:16], free_port()
    name = f"{title}:{port}"
    with person(browser, project.base, storage_state=admin, expected=("404", "400")) as one:
        page = one.go("/admin")
        page.get_by_role("link", name="DICOM receivers").click()
        page.get_by_role("link", name="New receiver").click()
        page.get_by_label("AE title").fill(title)
        page.get_by_role("textbox", name="Port").fill(str(port))
        page.get_by_role("textbox", name="Project", exact=True).fill("no such project")
        page.get_by_role("button", name="Make the receiver").click()
        assert "no such project" in page.get_by_role("alert").inner_text()
        page.get_by_role("textbox", name="Project", exact=True).fill(project.id)
        page.get_by_label("Idle time in seconds").fill("600")
        page.get_by_role("button", name="Make the receiver").click()
        page.get_by_text("The receiver is made.").wait_for()
        row = page.get_by_role("row", name=title).first
        row.get_by_text("listening").wait_for()  # by itself
        with DicomSender(port, called=title, calling="CT1") as sender:
            assert sender.send(*images(3, case=project.id, modality=b"MR")) == [0, 0, 0]
        studies = page.get_by_role("region", name="Studies that are being received")
        study = studies.get_by_role("row").filter(has_text=name)
        study.get_by_role("cell", name="3", exact=True).wait_for()
        study.get_by_role("link", name="Discard").click()
        page.get_by_role("heading", name="Discard what has come of this study?").wait_for()
        page.get_by_role("link", name="Keep it").click()
        study.get_by_role("button", name="Close now").click()
        page.get_by_text("The study is imported within a few seconds.").wait_for()
        study.wait_for(state="detached")
        associations = page.get_by_role("region", name="List of associations")
        associations.get_by_role("row").filter(has_text=name).get_by_text("ended").wait_for()
        one.go(f"/projects/{project.id}")
        page.get_by_role("link", name="DICOM receivers").click()
        page.get_by_role("row", name=title).first.wait_for()
        one.go("/admin/receivers")
        page.get_by_role("link", name=f"Change {name}").click()
        page.get_by_text("Remove this receiver").click()
        page.get_by_role("button", name=f"Remove {name}").click()
        page.get_by_text("The receiver is removed.").wait_for()
        assert page.get_by_role("link", name=f"Change {name}").count() == 0
    until(lambda: project.ask("GET", f"/api/v1/sessions?project={project.id}")[1]["items"], "the study never came")
    [session] = project.ask("GET", f"/api/v1/sessions?project={project.id}")[1]["items"]
    assert session["files"] == 3
