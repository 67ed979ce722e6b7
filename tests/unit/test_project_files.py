"""What holds for the project's own files: links, locked versions, and that no machine or registry is named."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
INDEX = ROOT / "docs" / "README.md"
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ \\;]+)", re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)#:]+)(?:#[^)]*)?\)")


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("no git checkout")
    return [path for name in listed.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_no_file_names_a_registry_or_a_path_of_one_machine():
    # Put together here, so that this file does not name them either.
    hosts = [".".join(parts) for parts in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"))]
    hosts += [".".join(parts) for parts in (("npmjs", "com"), ("debian", "org"), ("crates", "io"))]
    needles = [*hosts, f"{ROOT}/", "/".join(("", "work", "main")), "--extra-index" + "-url"]
    found = [
        (name_of(path), needle) for path in tracked() for needle in needles if needle.encode() in path.read_bytes()
    ]
    assert found == []


def test_no_link_is_tracked():
    # One was: it led to a folder of the machine it was made on, and `make setup` failed everywhere else.
    listed = subprocess.run(["git", "ls-files", "--stage"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert [line for line in listed.stdout.splitlines() if line.startswith("120000")] == []


def pins(name: str) -> dict[str, set[str]]:
    """Versions by package; more than one where the lock has them by Python version."""
    found: dict[str, set[str]] = {}
    for package, version in PIN.findall((ROOT / "requirements" / name).read_text()):
        found.setdefault(canonicalize_name(package), set()).add(version)
    return found


def wanted(*, dev: bool) -> list[Requirement]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)
    texts = project["project"]["dependencies"] + project["build-system"]["requires"]
    return [Requirement(text) for text in texts + (project["dependency-groups"]["dev"] if dev else [])]


@pytest.mark.parametrize(("lock", "dev"), [("run.txt", False), ("dev.txt", True)])
def test_the_lock_answers_what_pyproject_asks(lock, dev):
    locked = pins(lock)
    for requirement in wanted(dev=dev):
        versions = locked.get(canonicalize_name(requirement.name), set())
        assert versions, f"{requirement} is not in requirements/{lock}: run make lock"
        assert all(requirement.specifier.contains(version) for version in versions), requirement


def test_the_locks_agree_and_every_pin_has_its_hashes():
    run, dev = pins("run.txt"), pins("dev.txt")
    assert {name: dev.get(name) for name in run} == run
    for lock in ("run.txt", "dev.txt", "lock.txt"):
        blocks = re.split(r"^(?=[A-Za-z0-9])", (ROOT / "requirements" / lock).read_text(), flags=re.MULTILINE)
        assert [block for block in blocks if PIN.match(block) and "--hash=sha256:" not in block] == []


def test_every_page_is_linked_from_the_index():
    linked = {(INDEX.parent / target).resolve() for target in LINK.findall(INDEX.read_text())}
    missing = [name_of(p) for p in PAGES if p.is_relative_to(INDEX.parent) and p != INDEX and p not in linked]
    assert missing == []


def test_links_lead_somewhere():
    links = [(page, target) for page in PAGES for target in LINK.findall(page.read_text())]
    assert len(links) > 50
    assert [(name_of(page), target) for page, target in links if not (page.parent / target).exists()] == []


def test_every_target_that_the_pages_name_is_there():
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {(name_of(p), t) for p in PAGES for t in re.findall(r"`make ([a-z0-9-]+)", p.read_text())}
    assert [(page, target) for page, target in sorted(named) if target not in targets] == []


def test_what_is_run_by_name_may_be_run():
    scripts = [ROOT / ".ci" / "run", *(ROOT / "scripts").glob("*.sh")]
    assert [name_of(script) for script in scripts if not os.access(script, os.X_OK)] == []


def test_the_readme_tells_each_command_and_exit_code():
    from scandock.cli.app import COMMANDS
    from scandock.model.verdicts import EXIT_CODES

    readme = (ROOT / "README.md").read_text()
    assert [name for name in COMMANDS if f"`scandock {name}" not in readme] == []
    rows = dict(re.findall(r"^\| (\d+) \| (.+) \|$", readme, re.MULTILINE))
    for state, code in EXIT_CODES.items():
        assert f"`{state.value}`" in rows[str(code)]
