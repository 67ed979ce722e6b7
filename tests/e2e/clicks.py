"""The clicks that a task takes: counted in the page, and as the table of docs/tasks.md says them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Locator, Page

from tests.e2e.browsing import ROOT

TASKS = ROOT / "docs" / "tasks.md"
KEYS = ("Enter", "Ctrl+A")
"""What the table says of single keys; all else that is typed is a text."""

COUNT = """(() => {
  const add = (name, what) =>
    sessionStorage.setItem(name, JSON.stringify([...JSON.parse(sessionStorage.getItem(name) ?? "[]"), what]));
  const words = (target) => {
    const element = target.closest?.("a, button, summary, input, select, textarea, label") ?? target;
    const text = element.ariaLabel ?? element.labels?.[0]?.textContent ?? element.innerText ?? "";
    return text.trim().replace(/\\s+/g, " ");
  };
  // a key on a button, or a click on a label, sets off a click of no pointer
  const clicked = (event) => event.isTrusted && event.pointerId !== -1 && add("clicks", words(event.target));
  const modifiers = ["Control", "Shift", "Alt", "Meta"];
  const pressed = (event) => event.isTrusted && !modifiers.includes(event.key) && add("keys", event.key);
  addEventListener("click", clicked, true);
  addEventListener("keydown", pressed, true);
})()"""
"""Keeps the clicks of a mouse, by the words of what was clicked, and the keys; also from one document to the next."""

TAKE = """() => ["clicks", "keys"].map((name) => {
  const counted = JSON.parse(sessionStorage.getItem(name) ?? "[]");
  sessionStorage.removeItem(name);
  return counted;
})"""


@dataclass(frozen=True, kw_only=True)
class Task:
    """A row of docs/tasks.md."""

    clicks: int
    typed: tuple[str, ...]
    """Keys, and what stands for a text."""
    steps: tuple[str, ...]
    """What is clicked, in bold: the beginning of its words."""


def tasks() -> dict[str, Task]:
    """The rows of the table, by what is done."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in TASKS.read_text().splitlines()
        if line.startswith("|")
    ]
    assert rows[0] == ["task", "begins on", "clicks", "typed", "how"]
    return {
        name: Task(
            clicks=int(clicks),
            typed=() if typed == "–" else tuple(typed.split(", ")),
            steps=tuple(re.findall(r"\*\*(.+?)\*\*", how)),
        )
        for name, _, clicks, typed, how in rows[2:]
    }


class ClickCounter:
    """Counts clicks and keys from the next page on that is loaded."""

    def __init__(self, page: Page) -> None:
        self._page = page
        page.add_init_script(COUNT)

    def take(self) -> tuple[list[str], list[str]]:
        """The clicks, by the words of what was clicked, and the keys since this was asked last."""
        clicks, keys = self._page.evaluate(TAKE)
        return clicks, keys

    def choose(self, button: Locator, *paths: Path) -> None:
        """Choose files by a button; what is done in the system's dialog counts as one click."""
        with self._page.expect_file_chooser() as choosing:
            button.click()
        choosing.value.set_files(list(paths))
        self._page.evaluate(
            "() => sessionStorage.setItem('clicks', JSON.stringify("
            "[...JSON.parse(sessionStorage.getItem('clicks')), 'open']))"
        )

    def differences(self, task: str, words: Mapping[str, str] | None = None) -> list[str]:
        """How docs/tasks.md differs from what was counted since the last task.

        `words` has what the test clicks or types where the page has an example.
        """
        words = words or {}
        clicks, keys = self.take()
        written = tasks()[task]
        steps = list(written.steps)
        for example, word in words.items():
            steps = [step.replace(example, word) for step in steps]
        strokes = sum(1 if text in KEYS else len(words[text]) for text in written.typed)
        told = []
        if written.clicks != len(clicks):
            told.append(f"{task}: {written.clicks} clicks by docs/tasks.md, {len(clicks)} counted: {clicks}")
        if len(steps) != len(clicks) or not all(map(str.startswith, clicks, steps)):
            told.append(f"{task}: {steps} by docs/tasks.md, {clicks} clicked")
        if strokes != len(keys):
            told.append(f"{task}: {strokes} keys by docs/tasks.md, {len(keys)} counted: {keys}")
        return told
