"""Addresses: each that is built is one that a route answers, whatever labels hold; each that is read is understood."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from scandock.model.uris import PrearchiveSessionUri
from scandock.services.settings import load_settings
from scandock.web import urls
from scandock.web.app import create_app

HOSTILE = ("L1", "a b", "50%", "a/b", "?q=1#x", '"><script>', "'&", "é\u202e", "a\r\nSet-Cookie: x=1", "a+b", ";:@,")
ID = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def patterns(tmp_path_factory):
    app = create_app(str(tmp_path_factory.mktemp("addresses")), load_settings())
    found: list[Any] = []
    routes: list[Any] = list(app.routes)
    for one in routes:
        included = getattr(one, "original_router", None)
        found += [route.path_regex for route in ([one] if included is None else included.routes)]
    return found


def built(name):
    """Every address that can be built, with a name in it: (address, whether the name is in its path)."""
    session = urls.session_page(name, name)
    holder = urls.xnat_subject(name, name)
    yield from (
        (one, False)
        for one in (
            urls.HOME,
            urls.LOGIN,
            urls.LOGOUT,
            urls.UPLOAD,
            urls.ACTIVITY,
            urls.PREARCHIVE,
            urls.PROJECTS,
            urls.ACCOUNT,
            urls.OPENAPI,
            urls.API_UPLOADS,
            urls.API_IMPORTS,
            urls.API_ACCOUNTS,
            urls.API_DAMAGE,
            urls.API_RECEIVERS,
            urls.API_PEERS,
            urls.API_ME,
            urls.OIDC_CALLBACK,
            urls.CACHE,
            urls.login_page(name),
            urls.upload_page(name),
            urls.upload_page(name, ID),
            urls.upload_page(upload=ID),
            urls.prearchive_of(name),
            urls.admin_accounts_after(name),
            urls.oidc_login(name),
            urls.api_audit_export(name),
            urls.verify_damage(),
            urls.receipt_page(ID, "stored", name, 7),
            urls.api_receipt(ID, "stored", "csv"),
            urls.inbox_import(7),
            urls.waiting_form(ID),
            urls.discard_study(ID, name),
            urls.receiver_associations(None, refused=False),
            urls.static("abc123") + "/all.css",
            *(urls.import_page(ID, verb) for verb in ("", "receipt", "forget", "cancel", "retry", "close", "discard")),
            *(
                urls.admin_page(part)
                for part in (
                    "",
                    "accounts",
                    "settings",
                    "rules",
                    "filter",
                    "receivers",
                    "peers",
                    "trash",
                    "damage",
                    "audit",
                    "clock",
                )
            ),
            *(urls.account_form(part) for part in ("profile", "password", "tokens", "logins/end")),
            *(urls.session_form(ID, verb) for verb in ("change", "delete", "quarantine")),
            *(urls.api_import(ID, verb) for verb in ("", "cancel", "receipt", "sessions")),
        )
    )
    yield from (
        (one, True)
        for one in (
            *(
                urls.project_page(name, part)
                for part in (
                    "",
                    "settings",
                    "members",
                    "trash",
                    "damage",
                    "audit",
                    "manifest",
                    "filter",
                    "privacy",
                    "rules",
                )
            ),
            urls.rules_page(name),
            urls.of_project_or_site(name, "receivers"),
            urls.receiver_associations(name, refused=True),
            urls.receiver_page(name),
            urls.peer_page(name),
            urls.script_page(name),
            urls.subject_page(name, name),
            session,
            urls.manifest_of(session),
            urls.scan_page(session, name),
            urls.waiting_page(name),
            urls.admin_account(name),
            urls.revoke_token(name),
            urls.restore_from_trash(name),
            urls.verify_damage(name),
            urls.of_project_or_site(name, "damage"),
            urls.api_upload(name),
            urls.api_project(name),
            urls.api_script_check(name),
            urls.api_account(name),
            urls.api_subscription(name),
            urls.api_receiver(name),
            urls.api_peer(name),
            urls.api_session(name),
            urls.api_scan(name, name),
            urls.api_download(urls.api_session(name), "omit"),
            urls.api_download(urls.api_scan(name, name)),
            urls.api_thumbnail(name, name, "1.2"),
            urls.api_picture(urls.api_scan(name, name), 0, 0),
            urls.with_damaged(urls.api_file_content(name, 3)),
            urls.xnat_project(name),
            holder,
            urls.xnat_zip(holder),
            urls.xnat_file(holder, name, "folder/file"),
            urls.sent_session(name, name, name),
            urls.dicomweb_study(urls.dicomweb(name), name),
            urls.dicomweb_series(urls.dicomweb(), name, name),
            urls.dicomweb_instance(urls.dicomweb(), name, name, name),
            urls.dicomweb_bulk_data(
                urls.dicomweb_instance(urls.dicomweb(name), name, name, name), "00081115/1/00281203"
            ),
        )
    )


def answered(path, patterns):
    """The names that routes read from a path, as the server unquotes it."""
    return [found.groupdict() for one in patterns if (found := one.match(unquote(path)))]


def test_every_address_is_one_that_a_route_answers(patterns):
    for address, _ in built("L1"):
        assert answered(urlsplit(address).path, patterns), address


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_stays_one_piece_of_its_address(name, patterns):
    """It ends no path, query, attribute or line, and routes read it back: but for a slash, which servers unquote."""
    for address, in_path in built(name):
        assert set(address) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/%?&=#"), address
        parts = urlsplit(address)
        assert "//" not in parts.path, address
        if in_path and "/" not in name:
            assert any(name in found.values() for found in answered(parts.path, patterns)), address
        said = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
        assert not {"then", "project", "after", "q"} & set(said) or name in said.values(), address


def test_a_files_name_keeps_its_folders_and_nothing_else():
    assert urls.xnat_file("/data/projects/P", "a/b", "one/two #3?.txt") == (
        "/data/projects/P/resources/a%2Fb/files/one/two%20%233%3F.txt"
    )


def test_a_query_has_what_is_said_and_zero_is_said():
    assert urls.with_query("/x", {"a": "", "b": None, "c": 0, "d": "e&f"}) == "/x?c=0&d=e%26f"
    assert urls.with_query("/x?a=1", {"b": "2"}) == "/x?a=1&b=2"
    assert urls.with_query("/x", {"a": ""}) == "/x"
    assert urls.with_query(urls.with_encoded("/x", ""), {"cursor": "n"}) == "/x?cursor=n"
    assert urls.with_query(urls.with_encoded("/x", "q=a+b"), {"cursor": "n"}) == "/x?q=a+b&cursor=n"


def test_the_sites_own_path_comes_off_and_goes_on():
    scope = {"root_path": "/dock/"}
    assert urls.root_of(scope) == "/dock"
    assert urls.below_root(scope, "/dock/projects/P") == "/projects/P"
    assert urls.cookie_path_of(scope) == "/dock"
    assert urls.cookie_path_of({}) == "/"
    assert urls.below_root({}, "/projects/P") == "/projects/P"
    for path in ("/projects", "/dock/projects"):
        assert urls.under_root("/dock", path) == "/dock/projects"
    assert urls.under_root("/dock", "/dockside") == "/dock/dockside"
    assert urls.under_root("", "/projects") == "/projects"


@pytest.mark.parametrize(
    ("form", "page"),
    [
        ("/account/tokens", "/account"),
        ("/projects/P 1/members", "/projects/P 1/settings"),
        ("/admin/accounts/ann", "/admin/accounts"),
        ("/admin/clock", "/admin"),
        ("/sessions/u/quarantine", "/sessions/u/change"),
        ("/imports/u/retry", "/imports/u"),
        ("/damage/u/verify", "/"),
        ("/logout", "/"),
        ("/projects", ""),
        ("/imports/u/forget", ""),
        ("/projects/P/members/x", ""),
    ],
)
def test_a_forms_address_leads_back_to_its_page(form, page):
    assert urls.page_of_form(form) == page


def test_addresses_of_programs_are_told_from_pages():
    for path in ("/api/v1/x", "/data/projects", "/xapi/x", "/REST/x"):
        assert urls.is_for_programs(path)
    assert not urls.is_for_programs("/projects/P")
    assert urls.is_upload(urls.API_UPLOADS)
    assert urls.is_upload(urls.api_upload(ID))
    assert not urls.is_upload(f"{urls.API_UPLOADS}s")
    assert urls.is_oidc("/dock" + urls.OIDC_CALLBACK)
    assert urls.id_of_upload(f"https://dock/x{urls.api_upload(ID)}/") == ID


@pytest.mark.parametrize(
    ("dest", "names"),
    [
        ("/archive", {}),
        ("/data/archive/projects/P", {"project": "P"}),
        ("/archive/projects/P/subjects/S/experiments/E/", {"project": "P", "subject": "S", "session": "E"}),
        ("/archive/projects/P/experiments/E", {"project": "P", "session": "E"}),
        ("/prearchive/projects/P", None),
        ("/archive/projects/P/scans/1", None),
    ],
)
def test_dest_of_archiving(dest, names):
    assert urls.parse_archive_dest(dest) == names


def test_dest_of_the_import_service():
    stamp = "20240612_101112345"
    assert urls.parse_import_dest("/archive/projects/P") == {"archive": "archive", "project": "P"}
    assert urls.parse_import_dest("/data/prearchive") == {}
    assert urls.parse_import_dest(f"/prearchive/projects/P/{stamp}/F") == {
        "waiting": "P",
        "timestamp": stamp,
        "folder": "F",
    }
    assert urls.parse_import_dest("/prearchive/projects/P/yesterday") is None


def test_what_references_name():
    assert urls.parse_experiment("/archive/projects/P/experiments/E/scans/3/resources/R") == {
        "project": "P",
        "experiment": "E",
        "scan": "3",
    }
    assert urls.parse_experiment("/archive/projects/P") is None
    assert urls.parse_waiting("/data/prearchive/projects/P/T/L/scans/3") == {
        "project": "P",
        "timestamp": "T",
        "label": "L",
        "scan": "3",
    }
    assert urls.parse_waiting("/archive/projects/P") is None
    assert urls.parse_holder("/archive/experiments/E/scans/1") == {"experiment": "E"}
    assert urls.parse_holder("/data/projects/P/resources/R/files/x") == {"project": "P"}
    assert urls.parse_holder("nothing") == {}
    for src in ("prearchive/projects/P/20240612_101112/L", "/REST/prearchive/projects/P/20240612_101112/L/"):
        assert urls.parse_source(src) == PrearchiveSessionUri("P", "20240612_101112", "L")
    assert urls.parse_source("/prearchive/projects/P/today/L") is None


def test_manifests_and_lists_name_files():
    assert (
        urls.manifest_entry("XNAT_E1", "a/b", "DICOM")
        == "/archive/experiments/XNAT_E1/scans/a%2Fb/resources/DICOM/files"
    )
    assert urls.manifest_entry("XNAT_E1", None, "R") == "/archive/experiments/XNAT_E1/resources/R/files"
    assert urls.cached("R") == "/data/user/cache/resources/R"
    assert urls.cached("R", "f.zip") == "/data/user/cache/resources/R/files/f.zip"
    assert urls.posted("/data/projects/P/a b", "L/1") == "/data/projects/P/a%20b/L/1"
