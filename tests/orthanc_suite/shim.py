"""What the suite asks of Orthanc beside DICOMweb, answered by Scandock: a small server between the two.

Addresses of DICOMweb are handed on as they are, but for names: `/dicom-web` is the base of a project, `bulk` is
`bulkdata`, a search of all series or instances names the studies that there are. The database is emptied by a new
project. Some ten routes of Orthanc's own are told from what was stored.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import httpx
import pydicom

from tests.integration.web import Web

BASE: Final = "/dicom-web"
_HOP: Final = {"connection", "transfer-encoding", "content-length", "content-encoding", "date", "server"}
_AS_STORED: Final = {"Accept": "application/dicom; transfer-syntax=*"}


class Answer(NamedTuple):
    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


def orthanc_id(*values: str) -> str:
    """What Orthanc calls a resource: a hash of the patient's id and the UIDs down to it."""
    digest = hashlib.sha1("|".join(values).encode(), usedforsecurity=False).hexdigest()
    return "-".join(digest[at : at + 8] for at in range(0, 40, 8))


def orthanc_ids(patient: str, study: str, series: str, instance: str) -> list[str]:
    """Of an object, its series, its study and its patient."""
    values = (patient, study, series, instance)
    return [orthanc_id(*values[:count]) for count in (4, 3, 2, 1)]


class Shim:
    """What Orthanc's routes answer."""

    def __init__(self, web: Web) -> None:
        self._web = web
        self._projects = 0
        self._client = web.asking(headers={"Accept-Encoding": "identity"})
        self._stored: dict[str, pydicom.Dataset] = {}
        """What was given to `/instances`, by Orthanc's own ids of objects and studies."""
        self._routes: list[tuple[str, re.Pattern[str], Callable[..., Any]]] = [
            ("POST", re.compile(r"/tools/execute-script"), lambda _: ""),
            ("DELETE", re.compile(r"/exports"), lambda _: {}),
            ("GET", re.compile(r"/patients"), lambda _: ["all"]),
            ("DELETE", re.compile(r"/patients/all"), lambda _: self.empty()),
            ("GET", re.compile(r"/system"), lambda _: {"Version": "mainline", "ApiVersion": 100}),
            ("GET", re.compile(r"/plugins"), lambda _: ["dicom-web"]),
            ("GET", re.compile(r"/plugins/dicom-web"), lambda _: {"Version": "mainline"}),
            ("PUT", re.compile(r"/tools/default-encoding"), lambda body: body.decode()),
            ("POST", re.compile(r"/tools/find"), self._find),
            ("GET", re.compile(r"/instances"), lambda _: self._instances()),
            ("POST", re.compile(r"/instances"), self._store),
            ("DELETE", re.compile(r"/instances/([^/]+)"), self._forget),
            ("GET", re.compile(r"/instances/([^/]+)/tags"), self._tags),
            ("GET", re.compile(r"/instances/([^/]+)/content/(.+)"), self._content),
            ("GET", re.compile(r"/studies/([^/]+)"), self._study),
            ("POST", re.compile(rf"{BASE}/servers/sample/get"), self._get),
        ]

    def empty(self) -> dict[str, str]:
        """Have a database without any object: a project of its own."""
        self._projects += 1
        self._stored.clear()
        with self._web.client() as admin:
            assert admin.put(f"/data/projects/{self._project}").status_code in (200, 201)
            assert admin.put(f"/data/projects/{self._project}/prearchive_code/4").status_code == 200
        return {}

    @property
    def _project(self) -> str:
        return f"S{self._projects}"

    @property
    def _base(self) -> str:
        return f"/dicomweb/projects/{self._project}"

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        """The answer to a request; `target` may have more slashes than it needs."""
        path, question, query = re.sub("/+", "/", target).partition("?")
        for verb, pattern, handler in self._routes:
            if verb == method and (match := pattern.fullmatch(path)):
                return self._encode(handler(body, *match.groups()))
        if path.startswith(f"{BASE}/"):
            return self._hand_on(method, path.removeprefix(BASE), question + query, headers, body)
        return Answer(404)

    def _encode(self, value: Any) -> Answer:
        if isinstance(value, Answer):
            return value
        if isinstance(value, bytes):
            return Answer(200, value, (("Content-Type", "application/octet-stream"),))
        return Answer(200, json.dumps(value).encode(), (("Content-Type", "application/json"),))

    def _hand_on(self, method: str, path: str, query: str, headers: dict[str, str], body: bytes = b"") -> Answer:
        """What Scandock answers, with the names that Orthanc has for its addresses."""
        if path in ("/series", "/instances") and not re.search(r"00(20000[DdEe]|080018)=", query):
            studies = quote(",".join(self._study_uids()))
            query = f"{query or '?'}&StudyInstanceUID={studies}"
        path = path.replace("/bulk/", "/bulkdata/")
        response = self._client.request(method, f"{self._base}{path}{query}", headers=headers, content=body)
        text = response.content
        if response.headers.get("content-type", "").startswith("application/dicom+json"):
            text = text.replace(self._base.encode(), BASE.encode()).replace(b"/bulkdata/", b"/bulk/")
        kept = tuple(
            (name, value.replace(self._base, BASE))
            for name, value in response.headers.items()
            if name.lower() not in _HOP
        )
        return Answer(response.status_code, text, kept)

    def _own(self, method: str, path: str, **headers: str) -> httpx.Response:
        with self._web.client() as client:
            return client.request(method, f"{self._base}{path}", headers=headers)

    def _study_uids(self) -> list[str]:
        return [study["0020000D"]["Value"][0] for study in self._own("GET", "/studies").json()]

    def _instances(self) -> list[str]:
        ids: list[str] = []
        for study in self._own("GET", "/studies").json():
            uid = study["0020000D"]["Value"][0]
            patient = (study["00100020"].get("Value") or [""])[0]
            ids.extend(
                orthanc_id(patient, uid, one["0020000E"]["Value"][0], one["00080018"]["Value"][0])
                for one in self._own("GET", f"/studies/{uid}/instances").json()
            )
        return ids

    def _store(self, body: bytes) -> Any:
        with self._web.client() as client:
            answer = client.post(
                f"{self._base}/studies", content=body, headers={"Content-Type": "application/dicom"}, timeout=120
            )
        if answer.status_code not in (200, 202):
            return Answer(400, answer.content)
        data = pydicom.dcmread(io.BytesIO(body), force=True)
        uids = (data.StudyInstanceUID, data.SeriesInstanceUID, data.SOPInstanceUID)
        instance, series, study, patient = orthanc_ids(str(data.get("PatientID", "")), *map(str, uids))
        self._stored[instance] = self._stored[study] = data
        return {
            "ID": instance, "ParentSeries": series, "ParentStudy": study, "ParentPatient": patient, "Status": "Success",
        }  # fmt: skip

    def _forget(self, _: bytes, instance: str) -> Any:
        return {} if self._stored.pop(instance, None) else Answer(404)

    def _tags(self, _: bytes, instance: str) -> Any:
        data = self._stored[instance]
        return {word: str(data[word].value) for word in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")}

    def _study(self, _: bytes, study: str) -> Any:
        return {"MainDicomTags": {"StudyInstanceUID": str(self._stored[study].StudyInstanceUID)}}

    def _content(self, _: bytes, instance: str, path: str) -> Any:
        """The value of an element: tags with a dash, items from 0."""
        value: Any = self._stored[instance]
        for piece in path.split("/"):
            value = value[int(piece.replace("-", ""), 16)].value if "-" in piece else value[int(piece)]
        return value

    def _find(self, body: bytes) -> Any:
        query = json.loads(body)["Query"]
        with self._web.client() as client:
            return client.get(f"{self._base}/studies", params=query).json()

    def _get(self, body: bytes) -> Any:
        """What Orthanc's client of DICOMweb would get."""
        wish = json.loads(body)
        return self._hand_on("GET", wish["Uri"], "", self._login(wish.get("HttpHeaders", {})))

    def _login(self, headers: dict[str, str]) -> dict[str, str]:
        with self._web.client() as client:
            request = next(client.auth.sync_auth_flow(client.build_request("GET", "/")))  # type: ignore[union-attr]
        return {**headers, "Authorization": request.headers["Authorization"]}


@contextmanager
def serve(web: Web) -> Iterator[int]:
    """Serve the shim at a port of the loopback."""
    shim = Shim(web)
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
            with lock:
                try:
                    answer = shim.answer(self.command, self.path, headers, body)
                except Exception as error:  # noqa: BLE001  a fault of the shim is told to the test
                    answer = Answer(500, repr(error).encode())
            self.send_response(answer.status)
            for name, value in answer.headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_POST = do_PUT = do_DELETE = _do  # noqa: N815  names of http.server

        def log_message(self, *args: Any) -> None:
            """Nothing is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
