"""The OHIF viewer as an add-on: what is installed, what is refused, what is served of it, and what leads to it."""

from __future__ import annotations

import gzip
import io
import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scandock.model.errors import BadInput, LimitExceeded
from scandock.model.limits import Limits
from scandock.services.ohif import VIEWER_FILE, OhifLookup, install_ohif
from scandock.services.ohif_errors import OhifPackageUnfit
from scandock.services.settings import load_settings
from scandock.testing.data import make_data
from scandock.web import urls
from tests.builders import DataFolder, Image, ecat
from tests.integration.in_process import call_in_process
from tests.integration.ohif_packages import make_package
from tests.integration.web import Web, serve_in_process

LIMITS = Limits()
VIEWERS = (
    "Weasis=weasis://%24dicom%3Ars%20--url%20{dicomweb}%20-r%20studyUID%3D{study}",
    "Other_viewer=https://viewer.example.org/?s={study}&p={project}&l={session}&q={subject}",
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    make_data(tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    root = tmp_path_factory.mktemp("ohif")
    settings = load_settings().model_copy(update={"viewers": VIEWERS})
    with serve_in_process(root / "data", settings) as running:
        install_ohif(str(root / "data"), str(make_package(root / "a.tgz")), LIMITS)
        site = DataFolder(root=root)
        site.bring({"a.dcm": Image(case="ohif").file()}, session="S1", subject="Sub & 1")
        site.bring({"b.dcm": Image(case="waits").file()}, session="W1", destination="prearchive")
        site.bring({"c.v": ecat()}, session="E1", subject="E")
        yield running


def manifest(web: Web) -> Any:
    installed = OhifLookup(web.site.data).find()
    assert installed is not None
    return installed.manifest


# -- installing ----------------------------------------------------------------------------------------------------


def test_a_package_is_installed_shown_replaced_and_removed(data: Path, tmp_path: Path):
    package = make_package(tmp_path / "a.tgz")
    done = call_in_process("admin", "ohif", "install", package, "--data", data)
    assert done.returncode == 0, done.stderr
    assert "Installed: OHIF 3.12.4, without ONNX runtime and microscopy" in done.stdout
    assert re.search(r"SHA-256 of the package: [0-9a-f]{64}\n", done.stdout)
    assert "Integrity as npm writes it: sha512-" in done.stdout
    assert call_in_process("admin", "ohif", "show", "--data", data).stdout == done.stdout
    lookup = OhifLookup(str(data))
    first = lookup.find()
    assert first is not None
    assert first.read("ort/ort.wasm") is None
    newer = make_package(tmp_path / "b.tgz", version="3.13.2")
    done = call_in_process("admin", "ohif", "install", newer, "--data", data, "--complete")
    assert "Installed: OHIF 3.13.2, all of it" in done.stdout
    second = lookup.find()
    assert second is not None
    assert second.manifest.version == "3.13.2"
    assert second.manifest.stamp != first.manifest.stamp
    assert gzip.decompress(second.read("ort/ort.wasm") or b"") == b"large"
    assert gzip.decompress(second.read("dicom-microscopy-viewer/v.js") or b"") == b"large"
    assert call_in_process("admin", "ohif", "remove", "--data", data).stdout == "Removed.\n"
    assert lookup.find() is None
    assert call_in_process("admin", "ohif", "remove", "--data", data).stdout == "The OHIF viewer is not installed.\n"
    assert call_in_process("admin", "ohif", "show", "--data", data).stdout == "The OHIF viewer is not installed.\n"


def test_files_look_for_others_where_they_are_themselves(data: Path, tmp_path: Path):
    install_ohif(str(data), str(make_package(tmp_path / "a.tgz")), LIMITS)
    installed = OhifLookup(str(data)).find()
    assert installed is not None

    def read(name: str) -> str:
        return gzip.decompress(installed.read(name) or b"").decode()

    for name in ("app.bundle.1f.js", "compute.bundle.2a.js"):
        assert '.p = "/"' not in read(name)
        assert '__webpack_require__.p = new URL(".", ' in read(name)
    assert read("app.bundle.css") == "a{src:url(f.woff2)} b{src:url('g.woff2')} c{src:url(//h/i)} d{src:url(data:x)}"
    assert read("LICENSE.txt") == "MIT"
    for name in ("app-config.js", "sw.js", "index.html", "silent-refresh.html", "app.bundle.1f.js.map", "README.md"):
        assert installed.read(name) is None


@pytest.mark.parametrize(
    ("changes", "description", "words"),
    [
        ({}, {"version": "3.11.1"}, "3.12 and 3.13 are known"),
        ({}, {"version": "3.14.0-beta.6"}, "3.12 and 3.13 are known"),
        ({}, {"version": "3.120.1"}, "3.12 and 3.13 are known"),
        ({}, {"version": 3.12}, "3.12 and 3.13 are known"),
        ({}, {"name": "left-pad"}, "and not @ohif/app"),
        ({"package/package.json": None}, {}, "no package.json"),
        ({"package/package.json": "[" * 100_000}, {}, "no package.json"),
        ({"package/package.json": "[]"}, {}, "no package.json"),
        ({"package/dist/index.html": "<html>"}, {}, "names no scripts"),
        ({"package/dist/index.html": None}, {}, "names no scripts"),
        ({"package/dist/app.bundle.css": None}, {}, "not in it"),
        ({"package/dist/app.bundle.1f.js": "x"}, {}, "root of a host"),
        ({"package/dist/../../x.js": "x"}, {}, "no name of a file"),
        ({"package/dist/.../x.js": "x"}, {}, "no name of a file"),
        ({"package/dist/a b.js": "x"}, {}, "no name of a file"),
    ],
)
def test_what_is_no_package_of_a_known_version_is_refused(data, tmp_path, changes, description, words):
    package = make_package(tmp_path / "a.tgz", changes, **description)
    with pytest.raises(OhifPackageUnfit, match=re.escape(words)):
        install_ohif(str(data), str(package), LIMITS)
    assert not (data / VIEWER_FILE).exists()


def test_what_is_no_package_at_all_is_refused_and_a_bomb_ends_at_the_limits(data: Path, tmp_path: Path):
    package = tmp_path / "x.tgz"
    for content in (b"", b"PK\3\4", gzip.compress(b"no tar"), gzip.compress(bytes(2048))):
        package.write_bytes(content)
        with pytest.raises(OhifPackageUnfit):
            install_ohif(str(data), str(package), LIMITS)
    whole = make_package(package).read_bytes()
    package.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput):
        install_ohif(str(data), str(package), LIMITS)
    make_package(package, {"package/dist/big.js": "x" * 3_000_000})
    for limits in (Limits(max_entry_bytes=1_000_000), Limits(max_unpacked_bytes=1_000_000), Limits(max_entries=5)):
        with pytest.raises((BadInput, LimitExceeded)):
            install_ohif(str(data), str(package), limits)
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        link = tarfile.TarInfo("package/dist/link.js")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    package.write_bytes(gzip.compress(raw.getvalue()))
    with pytest.raises(OhifPackageUnfit, match="symlink"):
        install_ohif(str(data), str(package), LIMITS)
    assert not (data / VIEWER_FILE).exists()
    done = call_in_process("admin", "ohif", "install", tmp_path / "nowhere.tgz", "--data", data)
    assert done.returncode == 2
    assert "There is no file" in done.stderr


def test_a_viewer_that_is_damaged_is_none(data: Path, tmp_path: Path):
    lookup = OhifLookup(str(data))
    for content in (b"", b"no zip", b"PK\5\6" + bytes(18)):
        (data / VIEWER_FILE).write_bytes(content)
        assert lookup.find() is None
    install_ohif(str(data), str(make_package(tmp_path / "a.tgz")), LIMITS)
    assert lookup.find() is not None


# -- serving -------------------------------------------------------------------------------------------------------


def test_the_viewer_is_served_with_a_strict_policy_and_a_configuration_of_its_project(web: Web):
    static = urls.ohif_static(manifest(web).stamp)
    with web.client() as client:
        for path, base, dicomweb in (
            ("/ohif/projects/P", "/ohif/projects/P", "/dicomweb/projects/P"),
            ("/ohif/projects/P/", "/ohif/projects/P", "/dicomweb/projects/P"),
            ("/ohif/projects/P/viewer?StudyInstanceUIDs=1.2", "/ohif/projects/P", "/dicomweb/projects/P"),
            ("/ohif/projects/P/any/thing.js", "/ohif/projects/P", "/dicomweb/projects/P"),
            ("/ohif/all/viewer?StudyInstanceUIDs=1.2", "/ohif/all", "/dicomweb"),
        ):
            page = client.get(path)
            assert page.status_code == 200, page.text
            policy = page.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe-eval" not in policy.replace("wasm-unsafe-eval", "")
            assert "script-src 'self' 'wasm-unsafe-eval'" in policy
            assert not re.search(r"<script(?![^>]*\bsrc=)", page.text), "a script within the page"
            assert f'src="{base}/app-config.js"' in page.text
            assert f'src="{static}/app.bundle.1f.js"' in page.text
            assert f'href="{static}/app.bundle.css"' in page.text
            config = client.get(f"{base}/app-config.js")
            assert config.headers["content-type"] == "text/javascript; charset=utf-8"
            assert f'location.origin + "{dicomweb}"' in config.text
            assert f'window.PUBLIC_URL = "{static}/"' in config.text
            values = json.loads(config.text.partition("window.config = ")[2].partition(";\n")[0])
            assert values["routerBasename"] == base
            assert len(values["dataSources"]) == 1
        for name, media_type in (
            ("app.bundle.1f.js", "text/javascript; charset=utf-8"),
            ("a.wasm", "application/wasm"),
            ("f.woff2", "font/woff2"),
            ("assets/images/logo.svg", "image/svg+xml"),
        ):
            packed = client.get(f"{static}/{name}")
            plain = client.get(f"{static}/{name}", headers={"Accept-Encoding": "identity"})
            assert packed.headers["content-encoding"] == "gzip"
            assert "content-encoding" not in plain.headers
            assert packed.content == plain.content
            assert plain.headers["content-type"] == media_type
            assert "immutable" in plain.headers["cache-control"]
            assert "default-src 'none'" in plain.headers["content-security-policy"]
            assert " 'unsafe-eval'" not in plain.headers["content-security-policy"]
        worker = client.get(f"{static}/compute.bundle.2a.js")
        assert "script-src 'self' 'wasm-unsafe-eval' 'unsafe-eval';" in worker.headers["content-security-policy"]
        for path in (
            f"{static}/index.html",
            f"{static}/scandock.json",
            f"{static}/nothing.js",
            f"{static}/../../x.js",
            f"{urls.ohif_static('0' * 16)}/app.bundle.1f.js",
        ):
            assert client.get(path).status_code == 404


def test_below_a_path_everything_is_below_it(tmp_path: Path):
    settings = load_settings().model_copy(update={"base_path": "/dock"})
    with serve_in_process(tmp_path / "data", settings) as web, web.client() as client:
        install_ohif(web.site.data, str(make_package(tmp_path / "a.tgz")), LIMITS)
        page = client.get("/dock/ohif/projects/P/viewer").text
        config = client.get("/dock/ohif/projects/P/app-config.js").text
    assert re.findall(r'(?:src|href)="(/[^"]*)"', page)
    assert all(path.startswith("/dock/ohif/") for path in re.findall(r'(?:src|href)="(/[^"]*)"', page))
    assert 'location.origin + "/dock/dicomweb/projects/P"' in config
    assert '"routerBasename": "/dock/ohif/projects/P"' in config


def test_without_the_viewer_nothing_leads_to_it(tmp_path: Path):
    with serve_in_process(tmp_path / "data") as web, web.client() as client:
        DataFolder(root=tmp_path).bring({"a.dcm": Image(case="ohif").file()}, session="S1")
        assert "Open in" not in client.get(urls.session_page("P", "S1")).text
        page = client.get("/ohif/projects/P/viewer")
        assert page.status_code == 404
        assert "scandock admin ohif install" in page.text


def test_sessions_lead_to_the_viewers(web: Web):
    study = Image(case="ohif").study_uid.decode()
    with web.client() as client:
        page = client.get(urls.session_page("P", "S1")).text
        link = re.compile(r'<a class="button" href="([^"]*)"[^>]*rel="noopener noreferrer">Open in ([^<]*)<')
        links = dict(link.findall(page))
        assert {name: url.replace("&amp;", "&") for url, name in links.items()} == {
            "OHIF": f"/ohif/projects/P/viewer?StudyInstanceUIDs={study}",
            "Weasis": "weasis://%24dicom%3Ars%20--url%20"
            f"http%3A%2F%2F127.0.0.1%2Fdicomweb%2Fprojects%2FP%20-r%20studyUID%3D{study}",
            "Other viewer": f"https://viewer.example.org/?s={study}&p=P&l=S1&q=Sub___1",
        }
        waiting = client.get("/api/v1/prearchive", params={"project": "P"}).json()["items"][0]
        page = client.get(urls.waiting_page(waiting["id"])).text
        assert f'href="/ohif/all/viewer?StudyInstanceUIDs={waiting["study_uid"]}"' in page
        assert "Open in" not in client.get(urls.session_page("P", "E1")).text
        assert client.get(urls.ohif_study(study, "P")).status_code == 200


@pytest.mark.parametrize(
    "entry",
    [
        "Evil=javascript:alert({study})",
        "Evil=JavaScript:alert({study})",
        "Evil=data:text/html,{study}",
        "NoPlace=https://viewer.example.org/",
        "Other=https://viewer.example.org/{study}/{patient}",
        "=https://viewer.example.org/{study}",
        "https://viewer.example.org/{study}",
        "Relative=/viewer/{study}",
    ],
)
def test_templates_that_lead_nowhere_good_are_refused(monkeypatch: pytest.MonkeyPatch, entry: str):
    monkeypatch.setenv("SCANDOCK_VIEWERS", entry)
    with pytest.raises(Exception, match="SCANDOCK_VIEWERS"):
        load_settings()
