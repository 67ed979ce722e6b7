"""What `test_without_dialect` runs on a copy of Scandock: `python -m tests.integration.without_dialect FOLDER`.

One archive is imported as the command line does it, one comes to the server and is imported by a worker. What each
address answered is printed as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import httpx

import scandock
from scandock.model.verdicts import FINAL
from scandock.testing.data import make_data
from scandock.testing.passwords import quick_passwords
from scandock.testing.readers import thread_readers
from scandock.testing.worker import InProcessWorker
from scandock.web.registration import find_dialect
from scandock.web.security import COOKIE
from tests.builders import DataFolder, images, uploader_layout, zip_entries
from tests.crash.processes import until
from tests.integration.web import PASSWORD, serve_in_process

ADDRESSES = (
    "/", "/login", "/projects", "/projects/P", "/projects/P/sessions/S1", "/prearchive", "/activity", "/account",
    "/api/v1/projects/P", "/api/v1/sessions?project=P", "/api/v1/auth/me", "/api/openapi.json", "/healthz",
    "/data", "/data/projects", "/data/JSESSION", "/data/archive/projects/P/subjects", "/REST/projects",
    "/data/services/tokens/issue", "/xapi/siteConfig/buildInfo", "/projects/P/manifest",
    "/app/action/LoadImageData/project/P/timestamp/20240612_101112345/folder/S1",
)  # fmt: skip


def main(folder: Path) -> None:
    """Print where Scandock and its dialect are, what was archived, and the answers: a status and a text each."""
    with quick_passwords(), thread_readers():
        make_data(folder / "data")
        site = DataFolder(root=folder)
        with InProcessWorker(site.data, upkeep=False), serve_in_process(site.data) as web, web.client() as client:
            site.bring(uploader_layout("S1", "1", images(2)))
            archive = zip_entries(uploader_layout("S2", "1", images(2, study=2)))
            upload = client.post("/api/v1/imports?project=P", content=archive).json()["id"]
            until(lambda: _state(client, upload) in FINAL, "the import has not ended")
            state = _state(client, upload)
            answers = {path: client.get(path, headers={"Accept": "text/html"}) for path in ADDRESSES}
            login = web.asking().post("/api/v1/auth/login", json={"name": "admin", "password": PASSWORD})
            by_cookie = {
                name: web.asking(cookies={name: login.cookies[COOKIE]}).get("/api/v1/auth/me").status_code
                for name in (COOKIE, "JSESSIONID")
            }
        site.check()
    result = {
        "package": scandock.__file__,
        "dialect": find_dialect() is not None,
        "state": state,
        "answers": {path: [answer.status_code, answer.text] for path, answer in answers.items()},
        "cookies": list(answers["/"].cookies),
        "by_cookie": by_cookie,
        "modules": sorted(name for name in sys.modules if name.startswith("scandock.web.xnat")),
    }
    print(json.dumps(result))


def _state(client: httpx.Client, upload: str) -> str:
    return str(client.get(f"/api/v1/imports/{upload}").json()["state"])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
