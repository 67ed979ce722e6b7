"""Logging in by OpenID Connect: code flow with PKCE, state and nonce (OpenID Connect Core 3.1, RFC 7636, RFC 9207).

authlib speaks the protocol and joserfc checks signatures. What has to be remembered between going to the provider and
coming back travels in a cookie of the browser that went, signed by a key that all web hosts share (`login_keys`).
"""

from __future__ import annotations

import hmac
import threading
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any, Final

import httpx
from authlib.oauth2.base import OAuth2Error  # type: ignore[import-untyped]
from authlib.oauth2.client import OAuth2Client  # type: ignore[import-untyped]
from authlib.oidc.core import CodeIDToken  # type: ignore[import-untyped]
from joserfc import jwt
from joserfc.errors import BadSignatureError, ClaimError, ExpiredTokenError, InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from scandock.access.clock import monotonic
from scandock.access.errors import ProviderUnreachable
from scandock.access.login_errors import ProviderAnswerInvalid
from scandock.access.login_keys import LoginKeys
from scandock.access.oidc_flow import LoginFlow, open_flow, safe_path, sign_flow
from scandock.access.oidc_settings import Identity, OidcSettings, safe_url
from scandock.access.principal import AccessDenied
from scandock.model.dataclass import dataclass
from scandock.model.errors import Fault

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures that are taken: by a key of the provider alone, never by a shared secret or none."""
KEEP_SECONDS: Final = 3600.0
LEEWAY_SECONDS: Final = 60
_CLIENT_AUTH: Final = ("client_secret_basic", "client_secret_post")


@dataclass(frozen=True, slots=True)
class LoginStart:
    """A login under way: where the browser goes, and what it keeps meanwhile (HttpOnly, SameSite=Lax, 10 minutes)."""

    url: str
    cookie: str = field(repr=False)


class OidcProvider:
    """One provider, its metadata and keys kept for an hour. May be used by several threads."""

    def __init__(
        self, settings: OidcSettings, login_keys: Callable[[], LoginKeys], clock: Callable[[], float] = monotonic
    ) -> None:
        """`login_keys` reads the keys that all web hosts share, with their time."""
        settings.check()
        self.settings = settings
        self._login_keys = login_keys
        self._clock = clock
        self._lock = threading.Lock()
        self._metadata: tuple[float, Mapping[str, Any]] | None = None
        self._keys: tuple[float, KeySet] | None = None
        self._http = httpx.Client(timeout=10.0, follow_redirects=False)

    def close(self) -> None:
        self._http.close()

    def begin(self, redirect_uri: str, then: str = "/") -> LoginStart:
        """Send a browser to the provider; `then` is where it goes at the end, a path of this server."""
        metadata = self._get_metadata()
        login_keys = self._login_keys()
        flow = LoginFlow.new(safe_path(then), login_keys.now)
        url, _ = self._client(metadata, redirect_uri).create_authorization_url(
            metadata["authorization_endpoint"], state=flow.state, code_verifier=flow.verifier, nonce=flow.nonce
        )
        return LoginStart(url, sign_flow(flow, login_keys.signing))

    def finish(self, answer: Mapping[str, str], cookie: str | None, redirect_uri: str) -> tuple[Identity, str]:
        """What the provider answered, checked: the identity and where to go on.

        Raises AccessDenied `oidc_failed` for whatever does not fit, Fault `oidc_unreachable` where the provider does
        not answer.
        """
        login_keys = self._login_keys()
        flow = open_flow(cookie, login_keys.keys, login_keys.now)
        if flow is None:
            raise _login_error("The login took too long, or began in another browser.")
        if not hmac.compare_digest(answer.get("state", "").encode(), flow.state.encode()):
            raise _login_error("The answer belongs to another login.")
        metadata = self._get_metadata()
        self._check_issuer(answer, metadata)
        if "code" not in answer:
            raise _login_error("The provider refused the login.")
        client = self._client(metadata, redirect_uri)
        token = self._exchange(client, metadata, answer["code"], flow)
        claims = self._claims(token, metadata, flow, login_keys.now // 1000)
        return self._identity(claims, token, metadata), flow.then

    def _client(self, metadata: Mapping[str, Any], redirect_uri: str) -> OAuth2Client:
        offered = metadata.get("token_endpoint_auth_methods_supported", _CLIENT_AUTH[:1])
        way = next((auth_method for auth_method in _CLIENT_AUTH if auth_method in offered), _CLIENT_AUTH[0])
        return OAuth2Client(
            _HttpSession(self._http),
            client_id=self.settings.client_id,
            client_secret=self.settings.client_secret,
            token_endpoint_auth_method=way if self.settings.client_secret else "none",
            scope=self.settings.scopes,
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
        )

    def _exchange(
        self, client: OAuth2Client, metadata: Mapping[str, Any], code: str, flow: LoginFlow
    ) -> dict[str, Any]:
        try:
            token = client.fetch_token(
                metadata["token_endpoint"],
                grant_type="authorization_code",
                code=code,
                code_verifier=flow.verifier,
                headers={"Accept": "application/json"},  # its own for each call: authlib writes into what it is given
            )
        except OAuth2Error:
            raise _login_error("The provider did not take the code.") from None
        except (httpx.HTTPError, ValueError) as error:
            raise _unreachable_error(error) from error
        if not isinstance(token.get("id_token"), str):
            raise _login_error("The provider sent no identity.")
        return dict(token)

    def _claims(self, token: Mapping[str, Any], metadata: Mapping[str, Any], flow: LoginFlow, now: int) -> CodeIDToken:
        """The identity token, its signature and every claim checked (Core 3.1.3.7); `now` in seconds."""
        offered = metadata.get("id_token_signing_alg_values_supported", ["RS256"])
        algorithms = [algorithm for algorithm in ALGORITHMS if algorithm in offered]
        try:
            decoded = self._decode(token["id_token"], metadata, algorithms)
            claims = CodeIDToken(
                decoded.claims,
                decoded.header,
                {
                    "iss": {"essential": True, "value": metadata["issuer"]},
                    "aud": {"essential": True, "value": self.settings.client_id},
                },
                {
                    "nonce": flow.nonce,
                    "client_id": self.settings.client_id,
                    "access_token": token.get("access_token"),
                },
            )
            claims.validate(now, LEEWAY_SECONDS)
        except (JoseError, ValueError) as error:
            raise _login_error(_explain_token_error(error)) from error
        return claims

    def _decode(self, token: str, metadata: Mapping[str, Any], algorithms: list[str]) -> jwt.Token:
        """Decoded by the keys at hand, else by those that the provider has now: it may have changed them."""
        keys, fresh = self._key_set(metadata, renew=False)
        try:
            return jwt.decode(token, keys, algorithms=algorithms)
        except (JoseError, ValueError):
            if fresh:
                raise
            return jwt.decode(token, self._key_set(metadata, renew=True)[0], algorithms=algorithms)

    def _identity(self, claims: Mapping[str, Any], token: Mapping[str, Any], metadata: Mapping[str, Any]) -> Identity:
        person_claims: dict[str, Any] = dict(claims)
        needed_claims = {self.settings.name_claim, "email", "email_verified"}
        if not needed_claims <= person_claims.keys() and "userinfo_endpoint" in metadata and "access_token" in token:
            info = self._get(metadata["userinfo_endpoint"], token["access_token"])
            if info.get("sub") != claims["sub"]:
                raise _login_error("What it tells of the person is of another one.")
            person_claims = {**info, **person_claims}
        name = str(person_claims.get(self.settings.name_claim) or "")
        return Identity(
            str(claims["iss"]),
            str(claims["sub"]),
            name,
            str(person_claims.get("name") or name),
            str(person_claims.get("email") or ""),
            person_claims.get("email_verified") is True,
        )

    def _check_issuer(self, answer: Mapping[str, str], metadata: Mapping[str, Any]) -> None:
        """The answer names its issuer where the provider says so (RFC 9207): no other one's code gets in."""
        required = metadata.get("authorization_response_iss_parameter_supported") is True
        if ("iss" in answer or required) and answer.get("iss") != metadata["issuer"]:
            raise _login_error("The answer comes from another provider.")

    def _get_metadata(self) -> Mapping[str, Any]:
        with self._lock:
            if self._metadata is None or self._metadata[0] <= self._clock():
                metadata = self._get(self.settings.issuer.rstrip("/") + "/.well-known/openid-configuration")
                _check_metadata(metadata, self.settings.issuer)
                self._metadata = (self._clock() + KEEP_SECONDS, metadata)
            return self._metadata[1]

    def _key_set(self, metadata: Mapping[str, Any], *, renew: bool) -> tuple[KeySet, bool]:
        with self._lock:
            fresh = renew or self._keys is None or self._keys[0] <= self._clock()
            if fresh:
                keys = KeySet.import_key_set(self._get(metadata["jwks_uri"]))  # type: ignore[arg-type]
                self._keys = (self._clock() + KEEP_SECONDS, keys)
            assert self._keys is not None
            return self._keys[1], fresh

    def _get(self, url: str, bearer: str | None = None) -> dict[str, Any]:
        try:
            response = self._http.get(url, headers={"Authorization": f"Bearer {bearer}"} if bearer else None)
            response.raise_for_status()
            document = response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise _unreachable_error(error) from error
        if not isinstance(document, dict):
            raise _unreachable_error(ValueError("no object"))
        return document


class _HttpSession:
    """What authlib's client posts with: its authentication put on by hand, as httpx has another idea of one."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def post(self, url: str, data: Mapping[str, str], headers: dict[str, str], auth: Any) -> httpx.Response:  # noqa: ANN401
        body = str(httpx.QueryParams(dict(data)))
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        url, headers, body = auth.prepare("POST", url, headers, body)
        return self._http.post(url, content=body, headers=headers)


def _check_metadata(metadata: Mapping[str, Any], issuer: str) -> None:
    """The metadata are the issuer's own (Discovery 4.3), and every address in them is safe."""
    if metadata.get("issuer") != issuer:
        raise _unreachable_error(ValueError("its metadata name another issuer"))
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
        if not safe_url(str(metadata.get(name, ""))):
            raise _unreachable_error(ValueError(f"its {name} is no https address"))
    if "userinfo_endpoint" in metadata and not safe_url(str(metadata["userinfo_endpoint"])):
        raise _unreachable_error(ValueError("its userinfo_endpoint is no https address"))


def _login_error(why: str) -> AccessDenied:
    return ProviderAnswerInvalid(f"The login did not succeed. {why}", "Sign in again.")


def _explain_token_error(error: Exception) -> str:
    """What is wrong with an identity token, in words for people."""
    if isinstance(error, ExpiredTokenError):
        return "The provider's identity token has expired: compare the clocks of both servers."
    if isinstance(error, ClaimError):
        return f"The provider's identity token is not for this login: {error.claim!r} is not what it should be."
    if isinstance(error, BadSignatureError | InvalidKeyIdError):
        return "The provider's identity token is not signed by its keys."
    return "The provider's identity token can't be read."


def _unreachable_error(error: Exception) -> Fault:
    return ProviderUnreachable(str(error))
