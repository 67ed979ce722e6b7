"""What a reload takes from the upload page comes back: what was chosen by one button, what was sent by itself."""

from __future__ import annotations

import base64
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page, expect

from tests.builders import zip_entries
from tests.e2e.projects import Project, owner, stopping
from tests.e2e.uploading import BROKEN, RAW, archive, imported, opened, released, sent, slowed, start, under_way
from tests.integration.test_pictures import image

PICKER = """
window.showOpenFilePicker = async () => {
  const folder = await navigator.storage.getDirectory();
  return Promise.all(window.chosen.map((name) => folder.getFileHandle(name)));
};
"""
"""In place of the browser's own, which needs a person: its handles are real ones, of files that pages may write."""
WRITE = """async ([name, content]) => {
  const folder = await navigator.storage.getDirectory();
  const stream = await (await folder.getFileHandle(name, { create: true })).createWritable();
  await stream.write(Uint8Array.from(atob(content), (char) => char.charCodeAt(0)));
  await stream.close();
}"""
KEPT = """async () => {
  const count = (database, store) => new Promise((resolve) => {
    const asked = indexedDB.open(database);
    asked.onupgradeneeded = () => asked.result.createObjectStore(store);
    asked.onsuccess = () => {
      const counted = asked.result.transaction(store).objectStore(store).count();
      counted.onsuccess = () => { asked.result.close(); resolve(counted.result); };
    };
  });
  return (await count("scandock-kept", "lists")) + (await count("scandock-uploads", "handles"));
}"""
"""How many lists and handles the browser keeps."""
AGE = """(hours) => new Promise((resolve) => {
  const asked = indexedDB.open("scandock-kept");
  asked.onsuccess = () => {
    const store = asked.result.transaction("lists", "readwrite").objectStore("lists");
    store.openCursor().onsuccess = ({ target: { result } }) => {
      if (!result) return resolve();
      for (const one of result.value.archives) one.at -= hours * 3600000;
      result.update(result.value);
      return result.continue();
    };
  };
})"""

OF_ANOTHER = """() => new Promise((resolve) => {
  const asked = indexedDB.open("scandock-kept");
  asked.onsuccess = () => {
    const list = { user: "another", tab: "t", options: {}, archives: [{ at: Date.now(), name: "theirs.zip" }] };
    const put = asked.result.transaction("lists", "readwrite").objectStore("lists").put(list, ["another", "t"]);
    put.onsuccess = () => { asked.result.close(); resolve(); };
  };
})"""
"""A list that another account left without logging out."""


def exam(n: int) -> bytes:
    """An image of a study of its own."""
    return image(n, StudyInstanceUID=f"1.2.3{n}", SeriesInstanceUID=f"1.2.3{n}.4", PatientID=f"P{n}")


def put(page: Page, name: str, content: bytes) -> None:
    """A file in the browser, to be chosen."""
    page.evaluate(WRITE, [name, base64.b64encode(content).decode()])


def choose(page: Page, *names: str) -> None:
    page.evaluate("(names) => { window.chosen = names }", list(names))
    page.get_by_role("button", name="Choose archives or images").click()
    for name in names:
        expect(rows(page, name)).to_have_count(1)


def rows(page: Page, name: str) -> Locator:
    return page.locator("tr.up-study").filter(has_text=name)


def facts(page: Page, name: str) -> list[str]:
    """What a row says of its study: patient, date, scans, images."""
    row = rows(page, name)
    return [
        row.locator(one).first.inner_text()
        for one in ("th", "td.up-what > span", "td.up-date", "td.n >> nth=0", "td.n >> nth=1")
    ]


def kept(page: Page, count: int) -> None:
    page.wait_for_function(f"async () => (await ({KEPT})()) === {count}")


def test_what_was_chosen_and_sent_is_there_after_a_reload(browser: Browser, project: Project, tmp_path: Path):
    with owner(browser, project, expected=BROKEN) as one:
        one.page.add_init_script(PICKER)
        asked = one.answering(accept=True)
        page = opened(one, project.id)
        page.locator("input[name=destination][value=prearchive]").evaluate("(one) => one.click()")
        names = ("a.zip", "b.zip")
        for n, name in enumerate(names, 1):
            put(page, name, zip_entries({"1.dcm": exam(n)}))
        choose(page, *names)
        expect(page.locator("td.up-picture canvas")).to_have_count(2)  # pictures before a byte has left
        rows(page, "b.zip").get_by_label("Session label").fill("changed")
        rows(page, "b.zip").get_by_label("Session label").press("Tab")
        kept(page, 1)

        before = [facts(page, name) for name in names]
        page.reload()
        assert asked == []
        page.get_by_role("button", name="Restore 2 archives").wait_for()
        assert one.findings() == []
        other = page.context.new_page()  # what a tab has that lives is not offered to another one
        other.goto(one.base + "/upload")
        other.locator("#picks[data-preview]").wait_for(state="attached")
        page.reload()
        page.get_by_role("button", name="Restore 2 archives").click()
        expect(rows(page, "b.zip").get_by_label("Session label")).to_have_value("changed")
        expect(page.locator("td.up-picture canvas")).to_have_count(2)
        assert page.locator("input[name=destination][value=prearchive]").is_checked()
        assert page.get_by_role("button", name="Restore 2 archives").is_hidden()
        assert other.get_by_role("button", name="Restore 2 archives").is_hidden()
        other.close()

        with stopping(project.served) as next_import:
            start(page)
            sent(page, 2)
            next_import.stopped()
            kept(page, 0)
            page.reload()
            expect(page.locator(".up-archive .state").filter(has_text="importing")).to_have_count(1)
            expect(page.locator(".up-archive progress")).to_have_count(2)
            next_import.go_on()
            expect(page.get_by_role("link", name="Review")).to_have_count(2)
        assert [facts(page, name) for name in names] == before
        assert "changed" in {told["sessions"][0]["label"] for told in imported(project, 2)}
        expect(page.locator("td.up-picture img")).to_have_count(2)
        assert asked == []

        page.get_by_role("button", name="Upload more").click()
        page.reload()
        page.locator("#picks[data-preview]").wait_for(state="attached")
        choose(page, "a.zip")
        kept(page, 1)
        page.evaluate(AGE, 25)
        page.reload()
        kept(page, 0)
        choose(page, "a.zip")
        kept(page, 1)
        page.reload()
        page.get_by_role("button", name="Discard").click()
        kept(page, 0)

        # A file that an input gives can't be had again: leaving asks first.
        with page.expect_file_chooser() as choosing:
            page.locator("#files").evaluate("(one) => one.click()")
        choosing.value.set_files(archive(tmp_path / "plain.zip", {"1.dcm": exam(3)}))
        rows(page, "plain.zip").wait_for()
        page.reload()
        assert asked == ["beforeunload"]

        # One that was cut in the middle goes on from there.
        put(page, "large.zip", zip_entries({"1.dcm": exam(4), "raw.bin": RAW}))
        choose(page, "large.zip")
        slowed(page)
        start(page)
        under_way(page)
        page.reload()
        assert asked == ["beforeunload"] * 2
        page.get_by_role("button", name="Restore 1 archive").click()
        under_way(page)
        released(page)
        sent(page)
        imported(project, 3)

        page.reload()
        choose(page, "b.zip")
        kept(page, 1)
        page.evaluate(OF_ANOTHER)
        kept(page, 2)
        page.reload()
        kept(page, 1)
        page.get_by_role("button", name="Restore 1 archive").wait_for()
        chosen = "() => sessionStorage.getItem('scandock-project')"
        assert project.id in page.evaluate(chosen)
        page.get_by_role("button", name="Log out").click()
        page.get_by_label("Password").wait_for()
        assert page.evaluate(KEPT) == 0
        assert page.evaluate(chosen) is None
