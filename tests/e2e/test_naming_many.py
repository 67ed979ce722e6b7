"""Names for many studies at once: by keys, filling down, pasting, patterns and tables, and all of it undone."""

from __future__ import annotations

from tests.builders import Image
from tests.e2e.projects import owner
from tests.e2e.uploading import archive, drop, image, imported, looked_into, opened, sent, start

COUNT = """() => {
  window.refreshed = new Set();
  const element = ({ target }) => (target.nodeType === Node.TEXT_NODE ? target.parentElement : target);
  const row = (record) => !element(record).closest(".up-picture") && element(record).closest("tr.up-study");
  new MutationObserver((records) => records.map(row).forEach((one) => one && window.refreshed.add(one))).observe(
    document.querySelector(".up-table"), { subtree: true, childList: true, characterData: true, attributes: true },
  );
}"""
"""Keeps the studies' rows in which anything is written from here on, but for pictures, which come to rows in sight."""


def dated(n: int) -> bytes:
    """An image of the nth patient, at the nth day: studies stand by their dates."""
    day = {0x00080020: (b"DA", b"202401%02d" % n)}
    return Image(case="naming", study=n, series=n, patient_id=b"P%d" % n, patient_name=b"Doe^%d" % n, also=day).file()


def test_labels_are_filled_pasted_patterned_and_undone(browser, project, tmp_path):
    paths = [
        archive(tmp_path / "a.zip", {f"{n}.dcm": dated(n) for n in range(1, 5)}),
        archive(tmp_path / "b.zip", {"5.dcm": dated(5)}),
    ]
    with owner(browser, project) as one:
        page = opened(one, project.id)
        drop(page, *paths)
        looked_into(page)
        said = page.locator(".up-edited")

        def labels(which="Session label"):
            return [box.input_value() for box in page.get_by_label(which).all()]

        def at():
            return page.evaluate(
                "() => { const { activeElement: one } = document;"
                " const same = [...document.querySelectorAll(`input[data-column=${one.dataset.column}]`)];"
                " return [one.dataset.column, same.indexOf(one), one.value]; }"
            )

        def paste(text):
            """From the table's field to the cell that has the focus, by the browser's own keys."""
            page.locator("#up-table").evaluate("(one, text) => { one.value = text; }", text)
            page.evaluate("() => { window.cell = document.activeElement; }")
            page.locator("#up-table").press("Control+a")
            page.keyboard.press("Control+c")
            page.evaluate("() => window.cell.focus()")
            page.keyboard.press("Control+v")

        page.get_by_text("Change many labels at once").click()
        assert page.get_by_role("button", name="Undo", exact=True).count() == 0

        # keys go from row to row, over archives, and Escape brings back what was there
        page.get_by_label("Session label").first.focus()
        page.keyboard.press("End")
        page.keyboard.type("own")
        assert at() == ["session", 0, "P1own"]
        page.keyboard.press("Escape")
        assert at() == ["session", 0, "P1"]
        page.keyboard.press("Control+a")
        page.keyboard.type("own 1")
        page.keyboard.press("Enter")
        assert at() == ["session", 1, "P2"]
        page.get_by_text("Saved as own_1.").wait_for()
        for key, to in (("ArrowDown", 2), ("Enter", 3), ("Enter", 4), ("Enter", 4), ("ArrowUp", 3), ("Shift+Enter", 2)):
            page.keyboard.press(key)
            assert at()[1] == to
        page.keyboard.press("Control+a")
        page.keyboard.type("...")
        page.keyboard.press("ArrowDown")
        assert at() == ["session", 2, "..."]
        reason = page.locator("#up-reason")
        reason.get_by_text("Session label of Study of 2024-01-03, Doe 3: A label needs a letter or digit.").wait_for()
        assert page.get_by_role("button", name="Upload", exact=True).is_disabled()
        page.get_by_role("link", name="Activity").first.click()  # and it stands there when one comes back
        page.get_by_role("heading", name="Activity", level=1).wait_for()
        page.get_by_role("navigation", name="Main").get_by_role("link", name="Upload", exact=True).click()
        reason.get_by_text("Session label of Study of 2024-01-03, Doe 3").wait_for()
        looked_into(page)
        page.get_by_text("Change many labels at once").click()
        page.get_by_label("Session label").nth(2).focus()
        assert at() == ["session", 2, "..."]
        page.keyboard.press("Escape")
        assert page.get_by_role("button", name="Upload", exact=True).is_enabled()
        assert page.get_by_text("A label needs a letter or digit.").count() == 0
        assert labels() == ["own_1", "P2", "P3", "P4", "P5"]

        # what is typed is filled into the rows below that are included, as one step
        page.get_by_role("checkbox", name="Include Study of 2024-01-04 of Doe 4").uncheck()
        page.get_by_label("Session label").nth(1).focus()
        page.keyboard.press("Control+a")
        page.keyboard.type("V 1")
        page.keyboard.press("Control+d")
        said.get_by_text("V_1 filled into 2 rows below.").wait_for()
        assert labels() == ["own_1", "V_1", "V_1", "P4", "V_1"]
        assert at() == ["session", 1, "V_1"]
        page.keyboard.press("Control+z")
        said.get_by_text("Undone: 2 studies as before.").wait_for()
        assert labels() == ["own_1", "V_1", "P3", "P4", "P5"]
        page.get_by_role("button", name="Undo", exact=True).click()
        page.get_by_role("button", name="Undo", exact=True).click()
        assert labels() == ["own_1", "P2", "P3", "P4", "P5"]
        assert page.get_by_role("checkbox", name="Include").nth(3).is_checked()
        subjects = labels("Subject of")
        page.get_by_label("Subject of").nth(2).focus()
        page.get_by_role("button", name="Fill down: Subject").click()
        assert labels("Subject of") == [*subjects[:2], *[subjects[2]] * 3]
        page.get_by_role("button", name="Undo", exact=True).click()
        assert labels("Subject of") == subjects

        # rows that a warning's filter hides stay as they are
        page.get_by_label("Session label").nth(1).fill("own_1")
        page.get_by_label("Session label").nth(1).press("Enter")
        page.get_by_role("button", name="Show 2: 2 sessions share a label").click()
        page.get_by_label("Session label").first.fill("twin")
        page.get_by_label("Session label").first.press("Control+d")
        said.get_by_text("twin filled into 1 row below.").wait_for()
        assert labels() == ["twin", "twin", "P3", "P4", "P5"]
        page.get_by_role("button", name="Show all: 2 sessions share a label").click()
        for _ in range(3):
            page.get_by_role("button", name="Undo", exact=True).click()
        assert labels() == ["own_1", "P2", "P3", "P4", "P5"]

        # a block out of a spreadsheet, with a cell that is empty, one that is no label, and a line too many
        page.get_by_label("Subject of").nth(1).focus()
        paste("S2\tV2\nS 3\t\n...\tV4\nS5\tV5\nS6\tV6")
        words = "6 labels pasted. No letter or digit in line 3: not changed. 1 line more than rows: not pasted."
        said.get_by_text(words).wait_for()
        assert labels("Subject of") == [subjects[0], "S2", "S_3", subjects[3], "S5"]
        assert labels() == ["own_1", "V2", "P3", "V4", "V5"]
        assert at() == ["subject", 1, "S2"]
        page.keyboard.press("Control+a")
        paste("just one\n")
        assert at() == ["subject", 1, "just one"]
        page.keyboard.press("Escape")

        # a pattern shows what it gives while it is written, and what is wrong with it
        pattern = page.get_by_label("Pattern")
        result = page.locator("#up-pattern-result")
        pattern.fill("V_{PatientID}_{n:2}")
        result.get_by_text("V_P1_01, V_P2_02, V_P3_03, … (5 of 5 labels will change)").wait_for()
        pattern.fill("V_{PatientID}_{n:2")
        result.get_by_text("A brace is not closed").wait_for()
        assert pattern.get_attribute("aria-invalid") == "true"
        assert pattern.get_attribute("aria-describedby") == "up-pattern-result up-values"
        pattern.fill("V_{PatientID}_{Nope}")
        page.get_by_role("button", name="Apply the pattern").click()
        assert result.inner_text() == "There is no field {Nope}."
        assert page.evaluate("() => document.activeElement.id") == "up-pattern"
        pattern.fill("V_{PatientID}")
        assert pattern.get_attribute("aria-invalid") is None
        pattern.press("Enter")
        assert labels() == ["V_P1", "V_P2", "V_P3", "V_P4", "V_P5"]
        page.get_by_label("Find", exact=True).fill("V_P")
        page.get_by_label("replace by").fill("visit")
        page.locator("#up-find-result").get_by_text("V_P1 → visit1, V_P2 → visit2, V_P3 → visit3, … (5 of 5").wait_for()
        assert result.inner_text() == "5 of 5 labels changed."
        page.get_by_role("button", name="Undo", exact=True).click()
        assert labels() == ["own_1", "V2", "P3", "V4", "V5"]
        result.get_by_text("V_P1, V_P2, V_P3, … (5 of 5 labels will change)").wait_for()
        page.locator("#up-find-result").get_by_text("“V_P” is in no label.").wait_for()

        # a table: what is wrong stands beside its field, and so do columns and rows that say nothing
        table, told = page.locator("#up-table"), page.locator("#up-table-result")
        table.fill("patient_id,sesion\nP1,one\n")  # said while it is written
        told.get_by_text(
            "Row 1 of the table names an unknown column “sesion”: known are study_uid, patient_id"
        ).wait_for()
        table.fill("patient_id,session\nP1,one\nP2,two\n")
        told.get_by_text("2 of 2 rows fit 2 studies. Not applied yet.").wait_for()
        assert table.get_attribute("aria-invalid") is None
        assert labels() == ["own_1", "V2", "P3", "V4", "V5"]
        table.fill("patient_id,subject,session\nP1,S1,one\nP2,S2\n")
        page.get_by_role("button", name="Apply the table").click()
        told.get_by_text("Row 3 of the table has 2 cells, and the header 3.").wait_for()
        assert table.get_attribute("aria-invalid") == "true"
        assert labels() == ["own_1", "V2", "P3", "V4", "V5"]
        assert one.faults() == []
        one.resize("wide")
        table.fill("patient_id,age,session\nP1,42,one\nP1,42,again\nP9,42,none\n")
        page.get_by_role("button", name="Apply the table").click()
        told.get_by_text("2 of 3 rows fit 1 study. Row 4 of the table fits none.").wait_for()
        told.get_by_text("Rows 2, 3 fit the same study: row 2 counts. Unknown column “age”: not read.").wait_for()
        assert table.get_attribute("aria-invalid") is None
        assert labels() == ["one", "V2", "P3", "V4", "V5"]

        file = page.locator(".up-tools input[type=file]")
        old = "patient_id,session\nMüller,M1\n".encode("latin-1")
        file.set_input_files({"name": "labels.csv", "mimeType": "text/csv", "buffer": old})
        told.get_by_text("The one row fits no study. labels.csv is not UTF-8: it was read as Windows-1252.").wait_for()
        file.set_input_files({"name": "labels.csv", "mimeType": "text/csv", "buffer": b"PK\x03\x04 a workbook"})
        told.get_by_text("The file is a spreadsheet's own format: save the table as CSV (UTF-8)").wait_for()
        page.get_by_role("button", name="Undo", exact=True).click()  # the table that fits nothing holds no longer
        said.get_by_text("Undone.").wait_for()

        # all of it is undone, and that too
        page.get_by_role("button", name="Undo all changes").click()
        assert labels() == ["P1", "P2", "P3", "P4", "P5"]
        assert labels("Subject of") == subjects
        page.get_by_role("button", name="Undo", exact=True).click()
        assert labels() == ["one", "V2", "P3", "V4", "V5"]
        one.resize("narrow")
        page.get_by_label("Session label").first.focus()
        page.get_by_role("button", name="Fill session down").click()
        assert labels() == ["one"] * 5
        page.get_by_role("button", name="Undo", exact=True).click()
        start(page)
        sent(page, 2)
        page.get_by_role("button", name="Undo all changes").click()  # the table held for archives that come later
        page.locator(".up-grid").wait_for(state="hidden")
    sessions = [session for told in imported(project, 2) for session in told["sessions"]]
    assert sorted(session["label"] for session in sessions) == ["P3", "V2", "V4", "V5", "one"]


def test_three_hundred_rows_are_typed_into_without_work_for_all_of_them(browser, project, tmp_path):
    entries = {f"{n:03}/1.dcm": image(1, study=n, patient=b"P%03d" % n, name=b"Doe^%d" % n) for n in range(300)}
    with owner(browser, project) as one:
        page = opened(one, project.id)
        drop(page, archive(tmp_path / "many.zip", entries))
        looked_into(page)
        cells = page.get_by_label("Session label")
        assert cells.count() == 300
        cells.nth(150).focus()
        page.evaluate(COUNT)
        page.keyboard.press("Control+a")
        page.keyboard.type("visit-150")
        assert page.evaluate("() => window.refreshed.size") == 0  # a key writes into no row
        page.keyboard.press("Enter")
        looked_into(page)
        assert cells.nth(150).input_value() == "visit-150"
        assert page.evaluate("() => window.refreshed.size") == 1  # a label into its own
