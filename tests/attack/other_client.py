"""`python -m tests.attack.other_client PORT SESSION KINDS`: a client that only wants to work, and measures how long it
waits.

It logs in as alice, says `ready`, asks one small thing after another until its standard input ends, and prints as JSON
how many seconds each took and what failed.
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from collections.abc import Callable

from tests.attack.site import OTHER, PASSWORDS
from tests.badinput.objects import Image
from tests.crash.archives import zip_bytes
from tests.crash.served import basic_header

KINDS = ("listing", "page", "picture", "basic")
"""What a round asks by default; `login` is a new login each time, `upload` is asked in the first round alone."""
PAUSE = 0.05
PATIENCE = 120.0


class OtherClient:
    """Small requests of alice, from an address of her own, each on a new connection."""

    def __init__(self, port: int, session: str) -> None:
        self._port = port
        self._session = session
        self.seconds: list[float] = []
        self.failed: list[str] = []
        body = json.dumps({"name": "alice", "password": PASSWORDS["alice"]}).encode()
        self._login_body = body
        status, headers, text = self._ask("POST", "/api/v1/auth/login", body, {"Content-Type": "application/json"})
        assert status == 200, text
        self._cookie = {
            "Cookie": headers["set-cookie"].partition(";")[0],
            "X-CSRF-Token": json.loads(text)["csrf"],
        }

    def round(self, kinds: tuple[str, ...] = KINDS) -> None:
        """Ask one thing of each kind; what is not answered as it should be is kept in `failed`."""
        for kind in kinds:
            self._measure(kind, getattr(self, f"_{kind}"))
            time.sleep(PAUSE)

    def _measure(self, kind: str, ask: Callable[[], tuple[int, dict[str, str], bytes]]) -> None:
        begun = time.monotonic()
        try:
            status, headers, text = ask()
            is_reason = kind == "picture" and "application/json" in headers.get("content-type", "")
            if status not in (200, 202) or is_reason:
                self.failed.append(f"{kind}: {status} {text[:200]!r}")
        except (OSError, http.client.HTTPException) as error:
            self.failed.append(f"{kind}: {error!r}")
        self.seconds.append(time.monotonic() - begun)

    def _listing(self) -> tuple[int, dict[str, str], bytes]:
        return self._ask("GET", "/api/v1/sessions?project=P&limit=10", headers=self._cookie)

    def _page(self) -> tuple[int, dict[str, str], bytes]:
        return self._ask("GET", "/projects/P", headers=self._cookie)

    def _picture(self) -> tuple[int, dict[str, str], bytes]:
        return self._ask("GET", f"/api/v1/sessions/{self._session}/scans/1/frames/0", headers=self._cookie)

    def _basic(self) -> tuple[int, dict[str, str], bytes]:
        return self._ask("GET", "/data/projects?format=json", headers=basic_header("alice", PASSWORDS["alice"]))

    def _login(self) -> tuple[int, dict[str, str], bytes]:
        return self._ask("POST", "/api/v1/auth/login", self._login_body, {"Content-Type": "application/json"})

    def _upload(self) -> tuple[int, dict[str, str], bytes]:
        body = zip_bytes({"S/1.dcm": Image(case="other", study=time.monotonic_ns(), patient_id=b"OTHER").file()})
        headers = {**self._cookie, "Content-Type": "application/zip"}
        return self._ask("POST", "/api/v1/imports?project=P&filename=one.zip", body, headers)

    def _ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE, source_address=(OTHER, 0))
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()


def main(port: str, session: str, kinds: str) -> None:
    client = OtherClient(int(port), session)
    client.round()
    assert not client.failed, client.failed
    client.seconds.clear()
    ended = threading.Event()

    def wait_for_end() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait_for_end, daemon=True).start()
    print("ready", flush=True)
    client.round((*kinds.split(","), "upload"))
    while not ended.is_set():
        client.round(tuple(kinds.split(",")))
    print(json.dumps({"seconds": client.seconds, "failed": client.failed}))


if __name__ == "__main__":
    main(*sys.argv[1:])
