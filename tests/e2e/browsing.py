"""A person at a browser: Debian's Chromium on a real server, at a width and in a theme, every console message kept."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, BrowserType, ConsoleMessage, Dialog, Page, sync_playwright

from tests.crash.served import PASSWORD, ServerProcess

ROOT = Path(__file__).resolve().parent.parent.parent
AXE = ROOT / "tests" / "node" / "node_modules" / "axe-core" / "axe.min.js"
HOST_NAME = "scandock.test"
WIDTHS = {"wide": (1280, 800), "narrow": (390, 844)}
OF_COLORS = ["color-contrast", "link-in-text-block"]
"""Axe's default rules whose outcome depends on colors: themes differ in nothing else, which test_crowded holds."""
THEMES: tuple[tuple[Literal["dark", "light"], list[str] | None], ...] = (("dark", OF_COLORS), ("light", None))
PAINTED = """() => Promise.all(
  document.getAnimations().filter((one) => one instanceof CSSTransition).map((one) => one.finished.catch(() => {}))
).then(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))))"""
"""Waits until a page is painted at a width or in a theme that it was just given."""
PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""The first is Chromium without its windows, whose making is a sixth of all that tests in a browser cost."""
UNWANTED = (
    "WebUIOmniboxPopup,WebUIOmniboxAimPopup,"
    "AimEnabled,AvoidCorsURLLoaderRestartOnRedirect,AvoidUnnecessaryBeforeUnloadCheckSync,"
    "DestroyProfileOnBrowserClose,HttpsFirstBalancedModeAutoEnable,HttpsUpgrades,LensOverlay,MediaRouter,"
    "NetworkTimeServiceQuerying,OptimizationHints,PaintHolding,PreconnectToSearch,ThirdPartyStoragePartitioning,"
    "SpareRendererForSitePerProcess"
)
"""The address bar's menus are pages of 400 modules, which Chromium loads anew for each window: more than a second of
work beside what is looked at. A spare renderer is a process that each window starts for a page that does not come. The
others are those that Playwright turns off: the option counts once, the last one."""
WITHOUT_PICKERS = "delete window.showOpenFilePicker; delete window.showDirectoryPicker"
"""Playwright hears of choosers that inputs open, and of no others."""
QUIET = (
    f"--disable-features={UNWANTED}",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@contextmanager
def chromium(*flags: str) -> Iterator[Browser]:
    """The browser, headless; `flags` as `--host-resolver-rules=...`."""
    with sync_playwright() as playwright, launched(playwright.chromium, *flags) as browser:
        yield browser


@contextmanager
def launched(kind: BrowserType, *flags: str) -> Iterator[Browser]:
    """The browser, where playwright runs already: it runs once in a process."""
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    assert found, "no Chromium: scripts/system-packages.sh installs it"
    browser = kind.launch(executable_path=found, args=[*QUIET, *flags])
    try:
        yield browser
    finally:
        browser.close()


@dataclass(kw_only=True)
class Person:
    """Somebody at a page; what the console said is told at the end."""

    page: Page
    base: str
    said: list[str] = field(default_factory=list)
    """Messages of the console and errors that nothing caught."""

    def go(self, path: str) -> Page:
        """Open an address of the server, by loading it."""
        self.page.goto(self.base + path)
        return self.page

    def log_in(self, name: str = "admin", password: str = PASSWORD) -> Page:
        """By the form, as people do."""
        self.go("/login")
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Log in").click()
        self.page.get_by_role("button", name="Log out").wait_for()
        return self.page

    def findings(self, rules: list[str] | None = None) -> list[str]:
        """What axe finds on the page, by these or by all its default rules: the rule, and where."""
        if not self.page.evaluate("() => 'axe' in window"):
            self.page.evaluate(AXE.read_text())
        only = {} if rules is None else {"runOnly": {"type": "rule", "values": rules}}
        asked = {
            **only,
            "resultTypes": ["violations"],
        }  # to describe each node that passed takes axe longer than its rules
        told: list[dict[str, Any]] = self.page.evaluate(
            "(asked) => axe.run(document, asked).then((told) => told.violations)", asked
        )
        return [f"{one['id']}: {node['target']} {node['failureSummary']}" for one in told for node in one["nodes"]]

    def faults(self) -> list[str]:
        """What is wrong with the page at either width and in either theme: findings of axe, and pixels too wide.

        The page is resized and painted anew, not loaded: its scripts ask for no width and no theme.
        """
        told = []
        for width in ("narrow", "wide"):
            self.resize(width)
            for theme, rules in THEMES:
                self.page.emulate_media(color_scheme=theme)
                self.page.evaluate(PAINTED)
                told += [f"{width} {theme}: {one}" for one in self.findings(rules)]
            if self.overflow():
                told.append(f"{width}: {self.overflow()} px too wide")
        return told

    def resize(self, width: str) -> None:
        across, down = WIDTHS[width]
        self.page.set_viewport_size({"width": across, "height": down})

    def answering(self, accept: bool) -> list[str]:
        """Answer every dialog from here on; the list grows by what kind each was."""
        asked: list[str] = []

        def answer(dialog: Dialog) -> None:
            asked.append(dialog.type)
            if accept:
                dialog.accept()
            else:
                dialog.dismiss()

        self.page.on("dialog", answer)
        return asked

    def overflow(self) -> int:
        """By how many pixels the page is wider than the window: nobody should scroll sideways."""
        wide: int = self.page.evaluate(
            "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        return wide


@contextmanager
def person(
    browser: Browser, base: str, *, width: str = "wide", dark: bool = False, expected: tuple[str, ...] = (), **more: Any
) -> Iterator[Person]:
    """A person with a browser of their own. A console message that has none of `expected` in it fails the test."""
    across, down = WIDTHS[width]
    context = browser.new_context(
        viewport={"width": across, "height": down}, color_scheme="dark" if dark else "light", **more
    )
    context.set_default_timeout(15_000)
    context.add_init_script(WITHOUT_PICKERS)
    try:
        one = Person(page=context.new_page(), base=base)

        def hear(message: ConsoleMessage) -> None:
            one.said.append(f"{message.type}: {message.text} ({one.page.url})")

        one.page.on("console", hear)
        one.page.on("pageerror", lambda error: one.said.append(f"error: {error} ({one.page.url})"))
        yield one
        unexpected = [said for said in one.said if not any(word in said for word in expected)]
        assert unexpected == [], "\n".join(unexpected)
    finally:
        context.close()


def base_of(served: ServerProcess) -> str:
    return f"http://127.0.0.1:{served.port}"
