"""A small OpenID Connect provider on loopback: it checks what a provider checks, and lies where a test wants it to."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey

CLIENT = "scandock"
SECRET = "a:secret/with+signs"  # the sort that comes out wrong where it is not encoded as the client should


@dataclass
class OidcProvider:
    """What it holds, and how it lies."""

    issuer: str = ""
    person: dict[str, Any] = field(default_factory=dict)
    keys: list[Any] = field(default_factory=list)
    sign_with: Any = None
    algorithm: str = "RS256"
    claims: dict[str, Any] = field(default_factory=dict)
    """Put into the identity token in place of what is true; None: left out."""
    metadata: dict[str, Any] = field(default_factory=dict)
    userinfo: dict[str, Any] = field(default_factory=dict)
    token_answer: tuple[int, bytes] | None = None
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def described(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "id_token_signing_alg_values_supported": ["RS256", "ES256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            **self.metadata,
        }

    def authorize(self, url: str) -> dict[str, str]:
        """What a browser brings back from the authorization endpoint, its person logged in at once."""
        query = dict(parse_qsl(urlsplit(url).query))
        assert query["response_type"] == "code"
        assert query["client_id"] == CLIENT
        assert "openid" in query["scope"].split()
        assert query["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self.codes[code] = query
        return {"code": code, "state": query["state"], "iss": self.issuer}

    def exchange(self, form: dict[str, str], authorization: str) -> tuple[int, bytes]:
        if self.token_answer is not None:
            return self.token_answer
        expected = "Basic " + base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        request = self.codes.pop(form.get("code", ""), None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if authorization != expected:
            return 401, b'{"error": "invalid_client"}'
        if (
            request is None
            or form["grant_type"] != "authorization_code"
            or form["redirect_uri"] != request["redirect_uri"]
            or challenge.rstrip(b"=").decode() != request["code_challenge"]
        ):
            return 400, b'{"error": "invalid_grant"}'
        access = secrets.token_urlsafe(8)
        now = int(time.time())
        true = {
            "iss": self.issuer,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": request["nonce"],
            **self.person,
        }
        claims = {name: value for name, value in {**true, **self.claims}.items() if value is not None}
        key = self.sign_with or self.keys[-1]
        if self.algorithm == "none":
            identity = ".".join((_piece({"alg": "none"}), _piece(claims), ""))
        else:
            header = {"alg": self.algorithm, "kid": key.kid or "shared"}
            identity = jwt.encode(header, claims, key, algorithms=[self.algorithm])
        answer = {"access_token": access, "token_type": "Bearer", "expires_in": 300, "id_token": identity}
        return 200, json.dumps(answer).encode()

    def published(self) -> dict[str, Any]:
        public = KeySet([key for key in self.keys if not isinstance(key, OctKey)]).as_dict(private=False)
        return dict(public)


def _piece(values: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).rstrip(b"=").decode()


def new_key() -> RSAKey:
    return RSAKey.generate_key(2048, auto_kid=True)


def elliptic_key() -> ECKey:
    return ECKey.generate_key("P-256", auto_kid=True)


@contextmanager
def run_provider() -> Iterator[OidcProvider]:
    """A provider that answers while the block runs."""
    new_provider = OidcProvider(keys=[new_key()], person={"sub": "1234"})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            new_provider.asked.append(self.path)
            if self.path == "/.well-known/openid-configuration":
                self.answer(200, json.dumps(new_provider.described()).encode())
            elif self.path == "/keys":
                self.answer(200, json.dumps(new_provider.published()).encode())
            elif self.path == "/userinfo" and self.headers.get("Authorization", "").startswith("Bearer "):
                self.answer(200, json.dumps({"sub": new_provider.person["sub"], **new_provider.userinfo}).encode())
            else:
                self.answer(404, b"{}")

        def do_POST(self) -> None:
            new_provider.asked.append(self.path)
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            self.answer(*new_provider.exchange(form, self.headers.get("Authorization", "")))

        def answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    new_provider.issuer = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield new_provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
