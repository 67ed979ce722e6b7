"""What stands in `deploy`: valid by the schemas of Kubernetes and of compose, and of one piece with the program.

`make container-check` runs the instructions of the container file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import typer
import yaml
from check_jsonschema.builtin_schemas import get_builtin_schema
from typer.core import TyperGroup

from scandock.cli.app import app
from scandock.services.setting_rows import describe_settings
from scandock.services.settings import load_settings
from scandock.web import urls
from scripts.container_check import read_instructions

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
KUBERNETES = "1.37"
INSTRUCTIONS = read_instructions()


def documents() -> list[dict[str, Any]]:
    return [one for path in sorted(DEPLOY.glob("kubernetes/*.yaml")) for one in yaml.safe_load_all(path.read_text())]


def named(kind: str) -> dict[str, dict[str, Any]]:
    return {one["metadata"]["name"]: one for one in documents() if one["kind"] == kind}


def workloads() -> list[dict[str, Any]]:
    return [*named("Deployment").values(), *named("StatefulSet").values()]


def compose(name: str = "compose.yaml") -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / name).read_text())
    return loaded


@pytest.fixture
def serve_options(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that parses the words of a command as `scandock` does, and gives its options."""
    for name, value in _image_environment().items():
        monkeypatch.setenv(name, value)

    def parse(words: list[str]) -> dict[str, Any]:
        group = typer.main.get_command(app)
        assert isinstance(group, TyperGroup)
        context = typer.Context(group)
        command = group.get_command(context, words[0])
        assert command is not None
        return command.make_context(words[0], words[1:], parent=context).params

    return parse


def _image_environment() -> dict[str, str]:
    (text,) = [one.arguments for one in INSTRUCTIONS if one.word == "ENV"]
    pairs = dict(word.split("=", 1) for word in text.split())
    return {name: value for name, value in pairs.items() if name.startswith("SCANDOCK_")}


def test_each_document_is_what_kubernetes_takes(subtests: pytest.Subtests) -> None:
    found = documents()
    assert {(one["kind"], one["metadata"]["name"]) for one in found} == {
        ("Secret", "scandock"), ("PersistentVolumeClaim", "scandock-data"), ("Deployment", "scandock-web"),
        ("StatefulSet", "scandock-worker"), ("Service", "scandock"), ("Service", "scandock-worker"),
        ("Service", "scandock-dicom"),
    }  # fmt: skip
    for one in found:
        with subtests.test(f"{one['kind']} {one['metadata']['name']}"):
            kubernetes_validate.validate(one, KUBERNETES, strict=True)
    broken = workloads()[0]
    broken["spec"]["template"]["spec"]["containers"][0]["volumeMount"] = []
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, KUBERNETES, strict=True)


def test_the_documents_name_each_other_and_the_image(serve_options: Any, subtests: pytest.Subtests) -> None:
    user = next(one.arguments for one in INSTRUCTIONS if one.word == "USER")
    for workload in workloads():
        with subtests.test(workload["metadata"]["name"]):
            spec = workload["spec"]
            labels, pod = spec["template"]["metadata"]["labels"], spec["template"]["spec"]
            (container,) = pod["containers"]
            assert spec["selector"]["matchLabels"] == labels
            context = pod["securityContext"]
            assert f"{context['runAsUser']}:{context['runAsGroup']}" == user
            claims = [claim["metadata"]["name"] for claim in spec.get("volumeClaimTemplates", [])]
            volumes = {volume["name"]: volume for volume in pod["volumes"]}
            mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
            assert set(mounts) == {*volumes, *claims}
            assert volumes["data"]["persistentVolumeClaim"]["claimName"] in named("PersistentVolumeClaim")
            assert mounts["data"] == _image_environment()["SCANDOCK_DATA"]
            environment = {pair["name"]: pair["value"] for pair in container["env"]}
            assert environment["SCANDOCK_HOST_FOLDER"] == mounts["host"]
            assert container["envFrom"][0]["secretRef"]["name"] in named("Secret")
            probes = [container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")]
            assert [probe["path"] for probe in probes] == [urls.HEALTHZ, urls.HEALTHZ, urls.READYZ]
            ports = {port["name"]: port["containerPort"] for port in container["ports"]}
            options = serve_options(container["args"])
            assert (options["port"], options["host"]) == (ports["http"], "0.0.0.0")
            assert str(options["dicom_port"]) == str(ports.get("dicom", "off"))
            assert options["role"] == labels["app.kubernetes.io/component"]
            fronts = [one["spec"] for one in named("Service").values() if one["spec"]["selector"] == labels]
            assert {port["targetPort"] for front in fronts for port in front["ports"]} == set(ports)
            assert spec.get("serviceName", "scandock") in named("Service")


def variables() -> Iterator[str]:
    """Every variable of Scandock's that a file of `deploy` names, commented out or not."""
    for path in DEPLOY.rglob("*"):
        if path.is_file():
            yield from re.findall(r"\bSCANDOCK_[A-Z0-9_]+\b", path.read_text())


def test_each_variable_is_a_setting() -> None:
    known = {row.name for row in describe_settings(load_settings())} | {"SCANDOCK_DATA"}
    assert set(variables()) - known == {"SCANDOCK_DATABASE_PASSWORD"}, "compose's own"


def test_the_compose_file_is_what_compose_takes(serve_options: Any) -> None:
    found = compose()
    jsonschema.validate(found, get_builtin_schema("vendor.compose-spec"))
    roles, hosts = [], []
    for name in ("web", "worker"):
        service = found["services"][name]
        options = serve_options([str(word) for word in service["command"]])
        roles.append(options["role"])
        mounts = dict(volume.split(":")[::-1] for volume in service["volumes"])
        assert mounts["/data"] == "data"
        hosts.append(mounts[service["environment"]["SCANDOCK_HOST_FOLDER"]])
        assert f"127.0.0.1:{options['port']}{urls.HEALTHZ}" in service["healthcheck"]["test"][-1]
    assert roles == ["web", "worker"]
    assert len(set(hosts)) == 2, "each host has a folder of its own"
    assert set(found["volumes"]) == {"data", "database", *hosts}
    build = found["services"]["web"]["build"]
    assert (DEPLOY / build["context"] / build["dockerfile"]).resolve() == DEPLOY / "Containerfile"


def test_the_files_for_a_bucket_are_taken_and_share_no_folder(serve_options: Any) -> None:
    found = compose("compose-bucket.yaml")
    jsonschema.validate(found, get_builtin_schema("vendor.compose-spec"))
    started = [found["services"][name] for name in ("web", "worker")]
    assert [serve_options(service["command"])["role"] for service in started] == ["web", "worker"]
    assert len({service["volumes"][0] for service in started}) == 2
    for service in started:
        assert service["environment"]["SCANDOCK_STORE"].startswith("s3://")
        mounts = dict(volume.split(":")[::-1] for volume in service["volumes"])
        assert mounts["/keys"] == "keys", "all hosts hash by one key"
        assert service["environment"]["SCANDOCK_PRIVACY_KEY_FILE"] == "/keys/privacy.key"
        assert "SCANDOCK_DATABASE_URL" in service["environment"]
    user = next(one.arguments for one in INSTRUCTIONS if one.word == "USER")
    for one in yaml.safe_load_all((DEPLOY / "kubernetes-bucket.yaml").read_text()):
        kubernetes_validate.validate(one, KUBERNETES, strict=True)
        if one["kind"] == "Deployment":
            pod = one["spec"]["template"]["spec"]
            (container,) = pod["containers"]
            assert one["metadata"]["name"] == f"scandock-{serve_options(container['args'])['role']}"
            context = pod["securityContext"]
            assert f"{context['runAsUser']}:{context['runAsGroup']}" == user
            mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
            assert mounts == {"work": _image_environment()["SCANDOCK_DATA"], "keys": "/keys"}
            assert set(mounts) == {volume["name"] for volume in pod["volumes"]}
            (key,) = container["env"]
            assert key == {"name": "SCANDOCK_PRIVACY_KEY_FILE", "value": f"{mounts['keys']}/privacy.key"}


def test_the_container_file_copies_what_there_is_and_runs_the_server(serve_options: Any) -> None:
    copies = [one.arguments.split()[:-1] for one in INSTRUCTIONS if one.word == "COPY"]
    sources = [source for words in copies for source in words if not words[0].startswith("--from=")]
    assert [source for source in sources if not (DEPLOY.parent / source).exists()] == []
    arguments = {one.word: one.arguments for one in INSTRUCTIONS}
    assert json.loads(arguments["ENTRYPOINT"])[-1] == "scandock"
    options = serve_options(json.loads(arguments["CMD"]))
    assert (options["data"], str(options["port"])) == ("/data", arguments["EXPOSE"])
