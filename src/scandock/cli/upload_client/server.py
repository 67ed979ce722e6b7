"""The server at the other end: one request at a time, what it answers as facts, and what it refuses as sentences."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Final, NoReturn, TypedDict, cast
from urllib.parse import urlsplit

import httpx

from scandock import __version__
from scandock.cli.upload_client.errors import CertificateUntrusted, LoginWrong, NotScandock, ServerUnreachable
from scandock.cli.upload_client.login import Login
from scandock.model.dataclass import dataclass
from scandock.model.errors import Usage
from scandock.model.import_report import ReportJson
from scandock.web import urls

TIMEOUT: Final = httpx.Timeout(connect=10, read=120, write=60, pool=None)
TUS: Final = {"Tus-Resumable": "1.0.0"}
_AWAY: Final = frozenset({502, 503, 504})
_WORKER_HOST: Final = "worker_host"
"""What a host says that only imports."""
_BUSY: Final = frozenset({423, 429})


class ServerAway(Exception):
    """The server does not answer, or asks to wait; `retry_after` seconds where it says how long."""

    def __init__(
        self, reason: str, retry_after: float | None = None, *, busy: bool = False, locked: bool = False
    ) -> None:
        super().__init__(reason)
        self.why = reason
        self.retry_after = retry_after
        self.busy = busy
        """It answered, and asks to wait."""
        self.locked = locked
        """Another request writes to the upload: probably what is left of one of ours."""


class ServerRefusal(Exception):
    """The server answered that it will not: `code` and sentences where it is one of Scandock's own answers."""

    def __init__(self, status: int, code: str, detail: str, remedy: str) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class ServerUpload:
    """An upload that stands at the server."""

    id: str
    offset: int
    expires: int | None = None


class CountedJson(TypedDict):
    done: int
    total: int | None


class ProgressJson(TypedDict):
    """How far an import is, in its object."""

    stage: str
    entries: CountedJson | None
    bytes: CountedJson
    sessions: list[str]


class ImportJson(ReportJson):
    """What is read here of an import's object."""

    id: str
    size: int
    """Always known of what is sent here."""
    progress: ProgressJson | None


def count_received(import_object: ImportJson) -> int:
    """Bytes that the server has of an upload that is still `receiving`."""
    progress = import_object["progress"]
    assert progress is not None  # of each in this state
    return progress["bytes"]["done"]


class UploadJson(TypedDict):
    """What is read here of an upload's object."""

    id: str
    fingerprint: str | None
    size: int
    offset: int
    receiving: bool
    """Whether the server still takes bytes of a request, of which `offset` says nothing until then."""
    expires: int | None


class UploadServer:
    """Requests to one server, by one account. Every call raises ServerAway and Refusal; threads may share it."""

    def __init__(self, url: str, login: Login) -> None:
        self.url = url
        self.host = urlsplit(url).netloc
        headers = {"User-Agent": f"scandock/{__version__}"}
        auth: httpx.BasicAuth | None = None
        if login.name:
            auth = httpx.BasicAuth(login.name.encode(), login.secret.encode())
        else:
            headers["Authorization"] = f"Bearer {login.secret}"
        # the system's certificates: httpx alone would take a list that it brings along
        verify = ssl.create_default_context() if url.startswith("https:") else False
        self._client = httpx.Client(auth=auth, headers=headers, timeout=TIMEOUT, verify=verify)

    def close(self) -> None:
        self._client.close()

    # -- before anything is sent ---------------------------------------------------------------------------------

    def check(self) -> None:
        """See that a Scandock server is there, and that it lets us in. Raises Usage, or Fault `server_unreachable`."""
        try:
            # no password goes to what may be somebody else's server
            with self._answers():
                answer = httpx.Client.request(
                    self._client, "OPTIONS", self.url + urls.API_UPLOADS, auth=_NO_AUTH, headers={"Authorization": ""}
                )
        except ServerAway as error:
            _raise_unreachable(self.url, error)
        if answer.is_redirect:
            location = answer.headers.get("location", "").removesuffix(urls.API_UPLOADS)
            raise NotScandock(f"{self.url} sends on to {location or 'elsewhere'}.", "Name that address by --url.")
        if answer.status_code in _AWAY:
            _raise_unreachable(self.url, ServerAway(f"it answers {_status(answer.status_code)}"))
        if (problem := _read_problem(answer)).get("code") == _WORKER_HOST:
            raise Usage(_WORKER_HOST, f"{self.url}: {problem['detail']}", problem["remedy"])
        if answer.status_code != 204 or "1.0.0" not in answer.headers.get("tus-version", ""):
            raise NotScandock(
                f"{self.url} is no Scandock server (it answers {_status(answer.status_code)}).",
                "Check the address; name the folder too, where Scandock does not have the host to itself.",
            )
        self._who()

    def _who(self) -> None:
        try:
            self.json("GET", urls.API_ME)
        except ServerRefusal as refusal:
            if refusal.status == HTTPStatus.UNAUTHORIZED:
                raise LoginWrong(self.url) from None
            raise Usage(refusal.code, refusal.detail, refusal.remedy) from None
        except ServerAway as error:
            _raise_unreachable(self.url, error)

    # -- uploads -------------------------------------------------------------------------------------------------

    def unfinished(self) -> list[UploadJson]:
        """Our uploads that have not come to an outcome."""
        items: list[UploadJson] = self.json("GET", urls.API_UPLOADS)["items"]
        return items

    def create(self, size: int, fields: Mapping[str, str], key: str) -> ServerUpload:
        """A new upload; the same `key` again gives the same one."""
        metadata = ",".join(f"{name} {base64.b64encode(_utf8(value)).decode()}" for name, value in fields.items())
        headers = {**TUS, "Upload-Length": str(size), "Upload-Metadata": metadata, "Idempotency-Key": key}
        answer = self.ask("POST", urls.API_UPLOADS, headers=headers)
        uuid = urls.id_of_upload(answer.headers["location"])
        return ServerUpload(uuid, int(answer.headers.get("upload-offset", "0")))

    def send(self, uuid: str, offset: int, length: int, pieces: Iterator[bytes]) -> int:
        """`length` bytes from `offset` on; the offset up to which the server has them on disk."""
        headers = {
            **TUS,
            "Upload-Offset": str(offset),
            "Content-Type": "application/offset+octet-stream",
            "Content-Length": str(length),
        }
        answer = self.ask("PATCH", urls.api_upload(uuid), headers=headers, content=pieces)
        return int(answer.headers["upload-offset"])

    # -- imports -------------------------------------------------------------------------------------------------

    def read(self, uuid: str, *, seconds: float | None = None) -> ImportJson:
        """The import's object, as it is now."""
        return self._import("GET", urls.api_import(uuid), seconds)

    def cancel(self, uuid: str, *, seconds: float) -> ImportJson:
        return self._import("POST", urls.api_import(uuid, "cancel"), seconds)

    def _import(self, method: str, path: str, seconds: float | None) -> ImportJson:
        more = {} if seconds is None else {"timeout": seconds}
        return cast("ImportJson", self.json(method, path, **more))

    @contextmanager
    def receipt(self, uuid: str, fmt: str) -> Iterator[Iterator[bytes]]:
        """The receipt's bytes in pieces."""
        receipt_url = self.url + urls.api_import(uuid, "receipt")
        with self._answers(), self._client.stream("GET", receipt_url, params={"format": fmt}) as answer:
            if answer.is_error:
                answer.read()
                _raise_refusal(answer)
            yield answer.iter_bytes()

    # -- requests ------------------------------------------------------------------------------------------------

    def json(self, method: str, path: str, **options: Any) -> dict[str, Any]:  # noqa: ANN401
        """An answer's object. Raises Refusal `not_scandock` where it is none: something answers in its place."""
        answer = self.ask(method, path, **options)
        try:
            body = answer.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise ServerRefusal(
                answer.status_code, "not_scandock", f"{self.url} answers with no JSON.", "Check the address."
            )
        return body

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401
        with self._answers():
            answer = self._client.request(method, self.url + path, **options)
        if not answer.is_success:
            _raise_refusal(answer)
        return answer

    @contextmanager
    def _answers(self) -> Iterator[None]:
        """What goes wrong on the way becomes ServerAway."""
        try:
            yield
        except httpx.ConnectError as error:
            cause: BaseException | None = error
            while cause is not None:
                if isinstance(cause, ssl.SSLCertVerificationError):
                    raise CertificateUntrusted(self.host, cause.verify_message) from None
                cause = cause.__cause__ or cause.__context__
            raise ServerAway(_plain_reason(error)) from error
        except httpx.TimeoutException as error:
            raise ServerAway("it takes too long to answer") from error
        except (httpx.TransportError, httpx.StreamError) as error:
            raise ServerAway(_plain_reason(error)) from error


class _NoAuth(httpx.Auth):
    """Sends nothing that says who asks."""

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]
        del request.headers["Authorization"]
        yield request


_NO_AUTH: Final = _NoAuth()


def _raise_refusal(answer: httpx.Response) -> NoReturn:
    """Raise what an answer that is no success means."""
    problem = _read_problem(answer)
    code, detail = str(problem.get("code", "")), str(problem.get("detail", ""))
    status = answer.status_code
    wait = answer.headers.get("retry-after", "")
    retry_after = float(wait) if wait.isascii() and wait.isdigit() else None
    if status in _AWAY and code != "disk_full":
        raise ServerAway(detail or f"it answers {_status(status)}", retry_after)
    if status in _BUSY or (status == HTTPStatus.INSUFFICIENT_STORAGE and retry_after is not None):
        raise ServerAway(
            detail or f"it answers {_status(status)}", retry_after, busy=True, locked=status == HTTPStatus.LOCKED
        )
    raise ServerRefusal(
        status, code, detail or f"The server answers {_status(status)}.", str(problem.get("remedy", ""))
    )


def _read_problem(answer: httpx.Response) -> dict[str, Any]:
    """The object of an answer that tells of an error; empty where there is none."""
    try:
        problem = answer.json()
    except ValueError:
        problem = None
    return problem if isinstance(problem, dict) else {}


def _raise_unreachable(url: str, error: ServerAway) -> NoReturn:
    raise ServerUnreachable(url, error.why.rstrip(".")) from None


def _utf8(text: str) -> bytes:
    """A file's name may be no UTF-8: then what can't be said is written out."""
    return text.encode("utf-8", "backslashreplace")


def _status(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _plain_reason(error: Exception) -> str:
    """`connection refused`, where the library says `[Errno 111] Connection refused`."""
    text = str(error).rpartition("] ")[2].strip().rstrip(".")
    return text[:1].lower() + text[1:] if text else "the connection broke"
