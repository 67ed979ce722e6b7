"""Uploads on their way: three at once, tried again and again, offline and online, and nothing kept in the browser."""

from __future__ import annotations

from playwright.sync_api import Route

from tests.crash.processes import until
from tests.e2e.browsing import HOST_NAME, person
from tests.e2e.projects import OWNERS_PASSWORD, owner
from tests.e2e.uploading import (
    BROKEN,
    archive,
    arrived,
    begin,
    drop,
    image,
    imported,
    looked_into,
    opened,
    released,
    sending,
    sent,
    slowed,
    start,
    state,
)

COUNTED = """() => {
  window.asked = 0;
  const own = DataTransferItem.prototype.getAsFileSystemHandle;
  DataTransferItem.prototype.getAsFileSystemHandle = function () {
    window.asked += 1;
    return own.call(this);
  };
  if (window.FileSystemHandle) FileSystemHandle.prototype.queryPermission = async () => "granted";
}"""
"""Counts who asks for handles, and grants what a person would be asked for: headless, nobody can answer."""


def test_three_go_at_once_and_the_others_wait_for_their_turn(browser, project, tmp_path):
    images = [image(1, study=n, patient=b"N%d" % n, name=b"Roe^%d" % n) for n in range(5)]  # none waits for another
    paths = [archive(tmp_path / f"{n}.zip", {"1.dcm": one}) for n, one in enumerate(images)]
    held: list[Route] = []

    def hold(route):
        if route.request.method == "PATCH" and len(held) < 3:
            held.append(route)
        else:
            route.fallback()

    with owner(browser, project) as one:
        page = opened(one, project.id)
        page.route("**/api/v1/uploads/*", hold)
        begin(page, *paths)
        page.wait_for_function(
            "() => { const all = [...document.querySelectorAll('.up-archive-is > .state')];"
            " const told = all.map((one) => one.textContent);"
            " return told.filter((one) => one === 'uploading').length === 3"
            " && told.filter((one) => one === 'queued').length === 2 }"
        )
        while len(held) < 3:
            page.evaluate("() => 1")  # lets what is under way come
        for route in held:
            route.fallback()
        sent(page, 5)
    assert {told["state"] for told in imported(project, 5)} == {"placed"}


def test_speed_and_time_left_are_told_and_no_name_is_kept_in_the_tab(browser, project, large):
    path, _ = large
    with owner(browser, project) as one:
        page = opened(one, project.id)
        slowed(page)
        begin(page, path)
        page.wait_for_function(
            "() => /kB of 4.0 MB · .*[kM]B\\/s · .* left/"
            ".test(document.querySelector('.up-archive-is > .meta').textContent)"
        )
        released(page)
        sent(page)
        assert page.evaluate("() => localStorage.length") == 0
        assert "big" not in page.evaluate(
            "() => JSON.stringify(sessionStorage)"
        )  # ids of the tab and of its imports alone


def test_offline_it_waits_and_once_online_it_goes_on_by_itself(browser, project, large):
    path, whole = large
    with owner(browser, project, expected=BROKEN) as one:
        page = sending(one, project, path)
        slowed(page, offline=True)
        state(page, "retrying")
        words = page.locator(".up-archive .up-why").inner_text()
        assert words == "This computer is offline. It goes on once it is online again."
        released(page)
        sent(page)
    arrived(project, whole)


def prepared(one, project, path, answer):
    """The upload page with a small archive on it, its clock in the test's hands and its bytes in `answer`'s."""
    one.page.clock.install()
    page = opened(one, project.id)
    page.route("**/api/v1/uploads/*", answer)
    drop(page, path)
    looked_into(page)
    return page


def test_it_is_tried_again_without_end(browser, project, tmp_path):
    path = archive(tmp_path / "small.zip", {"1.dcm": image(1)})
    failing = {"left": 12}

    def answer(route):
        if route.request.method != "PATCH" or not failing["left"]:
            return route.fallback()
        failing["left"] -= 1
        return route.fulfill(status=503, body="not now")

    with owner(browser, project, expected=("503",)) as one:
        page = prepared(one, project, path, answer)
        start(page)
        state(page, "retrying")
        assert "Retrying in" in page.locator(".up-archive .up-why").inner_text()

        def tried() -> bool:
            shown: str = page.locator(".up-archive-is > .state").text_content() or ""
            if shown == "retrying":  # a request that is under way would be given up as silent
                page.clock.fast_forward(90_000)  # longer than any wait between two tries
            return shown in ("uploaded", "importing", "imported")

        until(tried, "it was not tried as often as it failed")
    assert failing["left"] == 0
    assert imported(project)[0]["state"] == "placed"


def test_a_connection_that_falls_silent_or_a_laptop_that_slept_goes_on(browser, project, tmp_path):
    path = archive(tmp_path / "small.zip", {"1.dcm": image(1)})
    silent: list[Route] = []

    def answer(route):
        if route.request.method != "PATCH" or silent:
            return route.fallback()
        silent.append(route)  # and nothing is ever heard of it
        return None

    with owner(browser, project, expected=BROKEN) as one:
        page = prepared(one, project, path, answer)
        with page.expect_request(lambda request: request.method == "PATCH"):
            start(page)
        page.clock.fast_forward(59_000)
        assert page.locator(".up-archive-is > .state").inner_text() == "uploading"
        page.clock.fast_forward(8 * 3600_000)
        state(page, "retrying")
        assert "Can't reach the server." in page.locator(".up-archive .up-why").inner_text()
        page.clock.fast_forward(10_000)
        sent(page)
    assert len(silent) == 1
    assert imported(project)


def test_a_stored_handle_goes_on_in_one_click(browser, project, large):
    path, whole = large
    with owner(browser, project, expected=BROKEN) as one:
        one.page.add_init_script(f"({COUNTED})()")
        page = sending(one, project, path)
        assert page.evaluate("() => window.asked") == 1
        one.answering(accept=True)
        page.reload()
        released(page)
        page.get_by_role("button", name="Go on: big.zip").click()
        sent(page)
        assert page.evaluate("() => localStorage.length") == 0
    arrived(project, whole)


def test_without_a_secure_context_no_handle_is_ever_asked_for(browser, project, tmp_path):
    path = archive(tmp_path / "named.zip", {"1.dcm": image(1)})
    with person(browser, f"http://{HOST_NAME}:{project.port}") as one:
        one.log_in(project.owner, OWNERS_PASSWORD)
        one.page.add_init_script(f"({COUNTED})()")
        page = opened(one, project.id)
        begin(page, path)
        sent(page)
        assert page.evaluate("() => [isSecureContext, window.asked]") == [False, 0]
