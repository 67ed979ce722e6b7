"""The receipt as people read it: every entry, filters, counts that add up, downloads, and names that do no harm."""

from __future__ import annotations

import io
import zipfile

from tests.builders import Image
from tests.e2e.projects import owner

LONG = "x" * 400 + "/" + "y" * 200 + ".dcm"
BIDI = "a\u202egnp.exe.dcm"
TAGS = "<script>document.title = 'harmed'</script>/<img src=x onerror=alert(1)>.dcm"


def hostile() -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as made:
        for n in range(3):
            made.writestr(f"scans/{n}.dcm", Image(case="hostile", number=n).file())
        for name in (TAGS, BIDI, LONG):
            made.writestr(name, b"no image")
        made.writestr(".DS_Store", b"junk")
        made.writestr("notes.txt", b"hello")
    return raw.getvalue()


def test_every_entry_is_told_and_no_name_does_harm(browser, project):
    made = project.placed(project.send(hostile(), "<img src=x onerror=alert(2)>\u202egpj.zip"))
    with owner(browser, project) as one:
        page = one.go("/activity")
        assert page.get_by_role("heading", name="<img src=x onerror=alert(2)>\\u202egpj.zip").is_visible()
        assert one.faults() == []
        page.get_by_role("link", name="Receipt").click()
        page.get_by_role("heading", name="Receipt of").wait_for()
        assert page.get_by_text("8 entries: 3 stored + 1 resource + 1 junk + 3 unparseable.").is_visible()
        table = page.get_by_role("region", name="Entries")
        assert table.get_by_role("row").count() == 9
        for shown in (TAGS, BIDI.replace("\u202e", "\\u202e"), LONG):
            assert table.get_by_text(shown).is_visible()
        assert page.locator("main img, main script").count() == 0
        assert page.title() != "harmed"
        assert one.faults() == []
        page.get_by_role("navigation", name="Verdicts").get_by_role("link", name="unparseable 3").click()
        page.wait_for_url("**verdict=unparseable")
        assert table.get_by_role("row").count() == 4
        assert table.get_by_text("Take it out, or import again with unreadable files ignored.").count() == 3
        page.get_by_label("In the path").fill("ONERROR")
        page.keyboard.press("Enter")
        page.wait_for_url("**q=ONERROR")
        assert table.get_by_role("row").count() == 2
        with page.expect_download() as coming:
            page.get_by_role("link", name="CSV").click()
        assert coming.value.suggested_filename == f"receipt-{made['id']}.csv"
        page.get_by_label("In the path").fill("nowhere")
        page.keyboard.press("Enter")
        page.get_by_text("No entry matches.").wait_for()
