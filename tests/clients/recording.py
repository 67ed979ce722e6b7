"""Requests that XNAT's clients sent, and our answers to them: recorded by `make clients`, replayed by `make test`.

A recording is a file of JSON lines, `recorded/CLIENT.jsonl`, one line a request with its answer, in their order. A GET
that was answered the same before, with nothing changed in between, is left out.

Placeholders stand for what is different in each run: the server's address, the times at which sessions came into the
prearchive, logins, tokens, ids of resources, today's times. They are numbered in the order in which answers have such
values for the first time, so that a replay has the same placeholders for values of its own, and sends those.

What a client sent of the files that its tour was given (`material.py`) stands as the file's name. Of long answers and
of binary ones the MD5 is recorded; it is taken of the text with its placeholders.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import tarfile
import zipfile
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from scandock.testing.server import InProcessServer

RECORDED = Path(__file__).parent / "recorded"
LONGEST = 5000
"""Characters of an answer that stand in a recording."""
BOUNDARY = "boundary"
_SENT_ANYHOW = {"host", "user-agent", "accept-encoding", "connection", "content-length", "transfer-encoding", "expect"}
_READ = ("content-type", "content-disposition", "location", "set-cookie")
"""Headers of answers that clients read."""
_DIFFERENT = {
    "stamp": re.compile(r"\b(\d{8}_\d{9})\b"),
    "login": re.compile(r"JSESSIONID=([\w-]{20,})"),
    "resource": re.compile(r'(?<![\w.-])(?<!TIME=")(?<!Time":)(\d{9,15})(?![\w.-])'),
    "alias": re.compile(r'"alias":\s*"([^"]+)"'),
    "secret": re.compile(r'"secret":\s*"([^"]+)"'),
}
"""Values that a client sends back; the group is the value."""
_NUMBER = re.compile(r": ?(\{(?:time|resource\d+)\})(?=[,}])")
"""A placeholder that stands for a number in JSON."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


# -- placeholders ------------------------------------------------------------------------------------------------------


class Placeholders:
    """What stands for the values of one run, and what these are."""

    def __init__(self, server: str) -> None:
        self._names = {server: "{server}"}
        self._counts = dict.fromkeys(_DIFFERENT, 0)
        days = [datetime.now(UTC) + timedelta(days=n) for n in (-1, 0, 1)]
        forms = ("%Y-%m-%d(?:[ T]{0}(?:\\.\\d+)?)?", "%a %b %d {0} UTC %Y", "%a, %d %b %Y {0} GMT")
        today = [day.strftime(form).format(r"\d\d:\d\d:\d\d") for form in forms for day in days]
        self._time = re.compile("|".join([*today, r'(?<=TIME=")\d{13}', r'(?<=Time":)\d{13}']))

    def learn(self, text: str) -> None:
        """Give what an answer has for the first time names."""
        for kind, pattern in _DIFFERENT.items():
            for value in pattern.findall(text):
                if value not in self._names:
                    self._counts[kind] += 1
                    self._names[value] = f"{{{kind}{self._counts[kind]}}}"

    def put_into(self, text: str) -> str:
        for value in sorted(self._names, key=len, reverse=True):
            text = text.replace(value, self._names[value])
        return self._time.sub("{time}", text)

    def resolve(self, text: str) -> str:
        for value, name in self._names.items():
            text = text.replace(name, value)
        return text


# -- one request and its answer ----------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class Exchange:
    """What went over the wire."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    status: int = 0
    answered: list[tuple[str, str]] = field(default_factory=list)
    answer: bytes = b""

    def line(self, names: Placeholders, files: Mapping[str, bytes]) -> dict[str, Any]:
        """Its line of a recording."""
        request: dict[str, Any] = {"method": self.method, "target": names.put_into(self.target)}
        headers = {name: _header_as_text(name, value) for name, value in self.headers if name not in _SENT_ANYHOW}
        if headers.get("accept") == "*/*":
            del headers["accept"]
        kind = headers.get("content-type", "")
        if "boundary=" in kind:
            headers["content-type"] = f"{kind.partition('boundary=')[0]}boundary={BOUNDARY}"
        if headers:
            request["headers"] = {name: names.put_into(value) for name, value in headers.items()}
        if self.body:
            request["body"] = _recipe(self.body, kind, names, files)
        return {"request": request, "answer": self.told(names)}

    def told(self, names: Placeholders) -> dict[str, Any]:
        """The answer as a recording has it."""
        headers = [f"{name}: {value}" for name, value in self.answered if name in _READ]
        names.learn("\n".join(headers))
        answer = {"status": self.status, "headers": [names.put_into(one) for one in headers]}
        kind = dict(self.answered).get("content-type", "").partition(";")[0]
        return answer | {"body": _description(self.answer, names, kind)} if self.answer else answer


def _header_as_text(name: str, value: str) -> str:
    """What is said by basic authentication is readable, and has its placeholders."""
    scheme, _, coded = value.partition(" ")
    return base64.b64decode(coded).decode() if (name, scheme) == ("authorization", "Basic") else value


def _recipe(body: bytes, kind: str, names: Placeholders, files: Mapping[str, bytes]) -> Any:
    """What a body that was sent is made of (`_made`)."""
    for name, data in files.items():
        if data == body:
            return {"file": name}
    if "boundary=" in kind:
        _, *parts, _ = body.split(b"--" + kind.partition("boundary=")[2].strip('"').encode())
        pairs = [part.removeprefix(b"\r\n").removesuffix(b"\r\n").partition(b"\r\n\r\n") for part in parts]
        return {"form": [[head.decode(), _recipe(data, "", names, files)] for head, _, data in pairs]}
    if body.startswith(b"\x1f\x8b"):
        with tarfile.open(fileobj=io.BytesIO(body)) as opened:
            entries = {one.name: opened.extractfile(one) for one in opened}
            return {"tar": {name: _recipe(file.read(), "", names, files) for name, file in entries.items() if file}}
    return names.put_into(body.decode())


def _made(recipe: Any, names: Placeholders, files: Mapping[str, bytes]) -> bytes:
    """The body that a recipe says."""
    match recipe:
        case {"file": name}:
            return files[name]
        case {"tar": entries}:
            return _tarred({name: _made(one, names, files) for name, one in entries.items()})
        case {"form": parts}:
            start = f"--{BOUNDARY}".encode()
            made = [start + b"\r\n" + head.encode() + b"\r\n\r\n" + _made(one, names, files) for head, one in parts]
            return b"\r\n".join([*made, start + b"--\r\n"])
    return names.resolve(recipe or "").encode()


def _description(body: bytes, names: Placeholders, kind: str) -> Any:
    """What an answer's body is: JSON, text, the entries of a zip, or its MD5. Of a page clients read nothing."""
    if kind == "text/html":
        return "a page"
    if body.startswith(b"PK"):
        return {"zip": {names.put_into(name): hashlib.md5(data).hexdigest() for name, data in _unzipped(body).items()}}
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return {"md5": hashlib.md5(body).hexdigest(), "bytes": len(body)}
    names.learn(text)
    text = names.put_into(text)
    if len(text) > LONGEST:
        return {"md5": hashlib.md5(text.encode()).hexdigest(), "characters": len(text)}
    return json.loads(_NUMBER.sub(r':"\1"', text)) if kind == "application/json" else text


def _tarred(entries: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, data in entries.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def _unzipped(body: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(body)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


# -- recording and replaying -------------------------------------------------------------------------------------------


class Recorder:
    """Stands before an application (ASGI) and keeps what it is asked and what it answers."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.exchanges: list[Exchange] = []

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        query = scope["query_string"]
        one = Exchange(
            method=scope["method"],
            target=(scope["raw_path"] + (b"?" + query if query else b"")).decode(),
            headers=_text(scope["headers"]),
        )
        self.exchanges.append(one)

        async def received() -> Message:
            message = await receive()
            one.body += message.get("body", b"")
            return message

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                one.status, one.answered = message["status"], _text(message["headers"])
            one.answer += message.get("body", b"")
            await send(message)

        await self._app(scope, received, sent)

    def write(self, path: Path, server: str, files: Mapping[str, bytes]) -> None:
        names = Placeholders(server)
        lines: list[str] = []
        since_change: set[str] = set()
        for one in self.exchanges:
            line = json.dumps(one.line(names, files), ensure_ascii=False)
            if one.method != "GET":
                since_change.clear()
            elif line in since_change:
                continue
            since_change.add(line)
            lines.append(line + "\n")
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(lines), encoding="utf-8")


def replay(
    path: Path, server: InProcessServer, files: Mapping[str, bytes]
) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Send what a recording has: which request that was, the answer that is recorded, and the one that came."""
    names = Placeholders(server.base)
    transport = server.transport()
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        line = json.loads(text)
        request = line["request"]
        headers = {name: names.resolve(value) for name, value in request.get("headers", {}).items()}
        if "authorization" in headers:
            headers["authorization"] = f"Basic {base64.b64encode(headers['authorization'].encode()).decode()}"
        answer = transport.handle_request(
            httpx.Request(
                request["method"],
                server.base + names.resolve(request["target"]),
                headers=headers,
                content=_made(request.get("body"), names, files),
            )
        )
        one = Exchange(
            method=request["method"],
            target=request["target"],
            headers=[],
            status=answer.status_code,
            answered=_text(answer.headers.raw),
            answer=answer.read(),
        )
        yield f"{path.name}:{number} {request['method']} {request['target']}", line["answer"], one.told(names)


def _text(headers: Any) -> list[tuple[str, str]]:
    return [(name.decode().lower(), value.decode("latin-1")) for name, value in headers]
