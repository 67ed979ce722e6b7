"""Where webhooks may go, and how they are signed."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from scandock.model.errors import Fault, Usage
from scandock.services.mail import check_address
from scandock.services.settings import load_settings
from scandock.services.webhooks import check_url, post_signed, sign

SITE = load_settings().notify


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/",
        "file:///etc/passwd",
        "http://",
        "http://user:pass@example.org/",
        "https://example.org/#part",
        "https://example.org:99999/",
        "https://example.org/a b",
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1/",
        "http://192.168.1.1:8080/",
        "http://[::ffff:127.0.0.1]/",
        "http://0.0.0.0/",
        "http://224.0.0.1/",
        "http://127.1/",
        "http://0x7f000001:8080/",
        "http://LocalHost./",
        "http://192.0.0.8/",
        "http://exämple.org/",
        "https://example.org/" + "a" * 2000,
    ],
)
def test_no_webhook_goes_there(url):
    with pytest.raises(Usage) as caught:
        check_url(url, SITE)
    assert caught.value.code == "url_invalid"


@pytest.mark.parametrize("url", ["https://example.org/hook?x=1", "http://8.8.8.8:81/", "https://[2606:4700::1111]/"])
def test_webhooks_go_there(url):
    assert check_url(url, SITE).hostname


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["10.1.2.3"],
        ["::1"],
        ["93.184.216.34", "10.1.2.3"],
        ["10.1.2.3", "93.184.216.34"],
        ["93.184.216.34", "fd00::1", "2606:4700::1111"],
    ],
)
def test_a_name_that_leads_inside_is_refused_when_it_is_used(monkeypatch, addresses):
    """One private address among several is enough."""

    def found(host, port, **options):
        return [(2, 1, 6, "", (address, port)) for address in addresses]

    def never(*args, **options):
        raise AssertionError("nobody may connect")

    monkeypatch.setattr("socket.getaddrinfo", found)
    monkeypatch.setattr("socket.create_connection", never)
    with pytest.raises(Fault) as caught:
        post_signed(SITE, "http://example.org/", "secret", "id", {})
    assert caught.value.code == "webhook_failed"
    assert "network of the server's own" in caught.value.message


def test_the_signature_is_over_time_and_body():
    body = b'{"a": 1}'
    mac = hmac.new(b"secret", b"1700000000." + body, hashlib.sha256).hexdigest()
    assert sign("secret", 1_700_000_000, body) == f"t=1700000000,v1={mac}"


@pytest.mark.parametrize(
    "address", ["", "a", "a@", "@b", "a b@c.org", "a@b@c.org", "a@b.org\nBcc: x@y.org", "a..b@c.org", "a@-b.org"]
)
def test_what_is_no_address(address):
    with pytest.raises(Usage) as caught:
        check_address(address)
    assert caught.value.code == "address_invalid"


def test_what_is_an_address():
    check_address("first.last+tag@mail.example.org")
    check_address("root@localhost")
