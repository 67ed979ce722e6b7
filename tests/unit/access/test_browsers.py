"""What a request brings along, and what a browser may send by itself."""

from __future__ import annotations

import base64

import pytest

from scandock.access.authentication import Credentials, parse_authorization
from scandock.access.logins import check_csrf, is_cross_site
from scandock.access.oidc_flow import LoginFlow, open_flow, safe_path, sign_flow
from scandock.access.principal import ANONYMOUS, AccessDenied, Door, Principal
from scandock.rules.permissions import AccessDecision


def basic(text, encoding="utf-8"):
    return "Basic " + base64.b64encode(text.encode(encoding)).decode()


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, Credentials(cookie="c")),
        ("", Credentials(cookie="c")),
        (basic("alice:a:b"), Credentials(basic=("alice", "a:b"))),
        (basic("alice:"), Credentials(basic=("alice", ""))),
        (basic("alice:gr\u00fcn"), Credentials(basic=("alice", "gr\u00fcn"))),
        (basic("alice:gr\u00fcn", "latin-1"), Credentials(basic=("alice", "gr\u00fcn"))),
        ("basic " + basic("a:b")[6:], Credentials(basic=("a", "b"))),
        ("Bearer alias.secret", Credentials(token="alias.secret")),
    ],
)
def test_credentials_of_a_header(header, expected):
    assert parse_authorization(header, "c") == expected


@pytest.mark.parametrize("header", ["Basic", "Basic %%%", basic("no colon"), "Digest x", "Bearer", "x", "Basic \xff"])
def test_a_header_that_says_nothing_is_no_anonymous_one(header):
    with pytest.raises(AccessDenied) as refused:
        parse_authorization(header, "c")
    assert refused.value.code == "login_failed"
    assert refused.value.answer is AccessDecision.SIGN_IN


def test_secrets_are_in_no_representation():
    principal = Principal(1, "u", "alice", door=Door.COOKIE, csrf="geheim")
    assert "geheim" not in repr(principal)
    assert "geheim" not in repr(Credentials(basic=("a", "geheim"), token="geheim", cookie="geheim"))


@pytest.mark.parametrize("given", [None, "", "other", "geheiM"])
def test_a_change_by_cookie_needs_the_logins_own_token(given):
    principal = Principal(1, "u", "alice", door=Door.COOKIE, csrf="geheim")
    with pytest.raises(AccessDenied) as refused:
        check_csrf(principal, given)
    assert refused.value.answer is AccessDecision.FORBIDDEN
    check_csrf(principal, "geheim")


def test_an_empty_token_of_a_login_is_matched_by_nothing():
    with pytest.raises(AccessDenied):
        check_csrf(Principal(1, "u", "alice", door=Door.COOKIE, csrf=""), "")


@pytest.mark.parametrize("door", [Door.BASIC, Door.TOKEN])
def test_other_doors_need_none_unless_a_browser_sends_them_for_another_site(door):
    principal = Principal(1, "u", "alice", door=door)
    check_csrf(principal, None)
    with pytest.raises(AccessDenied):
        check_csrf(principal, None, cross_site=True)
    check_csrf(ANONYMOUS, None, cross_site=True)


@pytest.mark.parametrize(
    ("fetch_site", "origin", "host", "expected"),
    [
        (None, None, "scans.example", False),
        ("same-origin", "https://scans.example", "scans.example", False),
        ("none", None, "scans.example", False),
        ("cross-site", "https://evil.example", "scans.example", True),
        ("same-site", "https://other.example", "scans.example", True),
        (None, "http://scans.example:8080", "scans.example:8080", False),
        (None, "http://evil.example", "scans.example:8080", True),
        (None, "null", "scans.example", True),
    ],
)
def test_what_a_browser_says_of_where_a_request_comes_from(fetch_site, origin, host, expected):
    assert is_cross_site(fetch_site, origin, host) is expected


NOW = 1_800_000_000_000


def test_a_flow_comes_back_from_its_cookie_and_no_other():
    key = b"k" * 32
    flow = LoginFlow.new("/projects/P", NOW)
    cookie = sign_flow(flow, key)
    assert open_flow(cookie, [key], NOW) == flow
    assert open_flow(cookie, [b"n" * 32, key], NOW) == flow, "it began before the newest key was made"
    assert open_flow(cookie, [b"x" * 32], NOW) is None
    assert open_flow(cookie[:-1] + ("0" if cookie[-1] != "0" else "1"), [key], NOW) is None
    for broken in (None, "", ".", "x.y", cookie.partition(".")[0], "\u00fc.\u00fc"):
        assert open_flow(broken, [key], NOW) is None


def test_an_old_flow_has_ended():
    key = b"k" * 32
    flow = LoginFlow.new("/", NOW)
    cookie = sign_flow(flow, key)
    assert open_flow(cookie, [key], flow.until - 1) == flow
    assert open_flow(cookie, [key], flow.until) is None


@pytest.mark.parametrize(
    ("then", "expected"),
    [
        ("/", "/"),
        ("/projects/P?tab=1", "/projects/P?tab=1"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/\t/evil.example", "/"),
        ("/a\r\nSet-Cookie: x", "/"),
        ("", "/"),
    ],
)
def test_a_login_ends_on_a_page_of_this_server(then, expected):
    assert safe_path(then) == expected
