"""The files in deploy/ say what Scandock's command line, settings and sources have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from scandock.services.settings import OUTSIDE, Settings, variable_name
from tests.integration.in_process import call_in_process

DEPLOY = Path(__file__).resolve().parent.parent.parent / "deploy"
VARIABLES = {variable_name(name) for name in Settings.model_fields} | set(OUTSIDE)


def commands() -> Iterator[tuple[str, list[str]]]:
    """The words with which each container of Scandock is started."""
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    for name, service in compose["services"].items():
        if "build" in service:
            yield f"compose {name}", service["command"]
    for document in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()):
        if document["kind"] == "Deployment":
            (container,) = document["spec"]["template"]["spec"]["containers"]
            yield document["metadata"]["name"], container["args"]
    (words,) = re.findall(r"^CMD \[(.*)\]$", (DEPLOY / "Containerfile").read_text(), re.MULTILINE)
    yield "container", [word.strip('" ') for word in words.split(",")]


@pytest.mark.parametrize(
    ("name", "words"), tuple(commands()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_what_is_run_are_commands_with_options_that_there_are(name: str, words: list[str]) -> None:
    assert call_in_process(*words, "--help").returncode == 0
    assert call_in_process(*words, "--none", "--help").returncode == 2


def test_every_variable_is_a_setting() -> None:
    text = "".join(path.read_text() for path in DEPLOY.iterdir())
    named = set(re.findall(r"SCANDOCK_[A-Z0-9_]+", text))
    assert named <= VARIABLES
    assert {"SCANDOCK_STORE", "SCANDOCK_DATABASE_URL", "SCANDOCK_S3_ENDPOINT"} <= named


def test_what_is_copied_into_the_container_is_there() -> None:
    text = (DEPLOY / "Containerfile").read_text()
    copied = [word for line in re.findall(r"^COPY (?!--)(.*)$", text, re.MULTILINE) for word in line.split()[:-1]]
    assert copied
    assert [word for word in copied if not (DEPLOY.parent / word).exists()] == []
