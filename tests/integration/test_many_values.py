"""Ten thousand of everything that a request can name: told to be too much, and never a fault of the server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from scandock.services.settings import load_settings
from tests.integration.many_rows import seed, seed_scans
from tests.integration.web import Web, serve_in_process

MANY = 10_000
MR, SUBJECT = "xnat:mrSessionData", "xnat:subjectData"
NUMBERS = ",".join(f"{n:x}" for n in range(MANY))
PATTERNS = ",".join(f"{n:x}*" for n in range(9_000))
FIELDS = "&".join(f"{n:x}=" for n in range(MANY))
URLENCODED = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    data = tmp_path_factory.mktemp("many") / "data"
    with serve_in_process(data, load_settings()) as running:
        (data / "archive/lost").mkdir()  # the rows' files were never there
        seed(running.site.catalog, 4, name="S")
        seed_scans(running.site.catalog, 2)
        yield running


@pytest.fixture(scope="module")
def client(web: Web) -> Iterator[httpx.Client]:
    with web.client() as made:
        yield made


@pytest.fixture(autouse=True)
def no_fault(web: Web) -> Iterator[None]:
    before = len(web.logged)
    yield
    assert [one for one in web.logged[before:] if one["event"] in ("fault", "unexpected")] == []


def addresses(web: Web) -> list[str]:
    """Addresses of every fourth module, with something in their places."""
    routes = [
        route
        for one in web.app.routes
        for route in getattr(getattr(one, "original_router", None), "routes", [one])
        if "GET" in (getattr(route, "methods", None) or ()) and not re.search("events|live|openapi", route.path)
    ]
    first = {one.endpoint.__module__: one.path for one in reversed(routes)}
    return sorted(re.sub(r"\{[^}]*\}", "1", path.replace("{project}", "S")) for path in first.values())[::4]


def test_no_address_takes_10_000_parameters(web: Web, client: httpx.Client) -> None:
    told = {address: client.get(f"{address}?{FIELDS}").status_code for address in addresses(web)}
    assert {address for address, status in told.items() if status != 400} == set()
    assert client.get("/data/projects?" + "&".join(f"{n}=" for n in range(1_000))).status_code == 200


LISTINGS = (
    ("/data/projects", "name"), ("/data/subjects", "label"), ("/data/experiments", "label"),
    ("/data/projects/S/subjects", "label"), ("/data/projects/S/experiments", "label"),
    ("/data/prearchive/projects/S", "name"), ("/data/experiments/XNAT_E00001/scans", "type"),
)  # fmt: skip


@pytest.mark.parametrize(("address", "name"), LISTINGS)
def test_a_listing_takes_some_columns_and_values_and_no_10_000(client: httpx.Client, address: str, name: str) -> None:
    for asked in (f"columns={NUMBERS}", f"{name}={NUMBERS}", f"{name}={PATTERNS}"):
        told = client.get(f"{address}?{asked}")
        assert (told.status_code, "more than" in told.text) == (400, True), (asked[:9], told.text[:200])
    columns, values = ",".join(f"c{n}" for n in range(200)), ",".join(f"v{n}" for n in range(1_000))
    for asked in (f"columns={columns}", f"{name}={values}"):
        assert client.get(f"{address}?{asked}").status_code == 200


@pytest.mark.parametrize("address", ["/data/experiments", "/data/projects/S/subjects"])
def test_filters_are_bounded_all_together(client: httpx.Client, address: str) -> None:
    for asked in ("&".join(["label=x"] * 999), "label=" + ",".join(["x*"] * 201 + [f"{n}*" for n in range(201)])):
        assert client.get(f"{address}?{asked}").status_code == 400
    for asked in ("&".join(["label=x"] * 200), "label=" + ",".join(f"{n}*" for n in range(199))):
        assert client.get(f"{address}?{asked}").status_code == 200
    assert client.get(f"{address}?label={'x*' * 10_000}").status_code == 400
    assert client.get(f"{address}?label=Sub0,nothing,sess*").json()["ResultSet"]["totalRecords"] != "0"


def criterion(field: str, comparison: str, value: str) -> str:
    return (
        f"<criteria><schema_field>{field}</schema_field><comparison_type>{comparison}</comparison_type>"
        f"<value>{value}</value></criteria>"
    )


def searched(client: httpx.Client, where: str = "", columns: str = "", root: str = MR) -> httpx.Response:
    where = f"<search_where>{where}</search_where>"
    body = f"<bundle><root_element_name>{root}</root_element_name>{columns}{where}</bundle>"
    return client.post("/data/search?format=csv", content=body.encode())


LONG = ",".join(f"v{n}" for n in range(29_000))


@pytest.mark.parametrize(
    "where",
    [
        "".join(criterion(f"{MR}/LABEL", "=", str(n)) for n in range(MANY)),
        criterion(f"{MR}/LABEL", "IN", LONG) * 2,
        criterion(f"{MR}/DATE", "IN", ",".join(f"20{n // 28 % 90:02}-01-{n % 28 + 1:02}" for n in range(MANY))),
        criterion(f"{SUBJECT}/GENDER", "LIKE", "m%") * 11,
        criterion(f"{MR}/LABEL", "LIKE", "x%" * MANY),
    ],
    ids=["criteria", "values of all", "days", "of another kind", "a pattern"],
)
def test_a_search_of_10_000_criteria_or_values_is_told_to_be_too_much(client: httpx.Client, where: str) -> None:
    told = searched(client, where)
    assert (told.status_code, "more than" in told.text or "At most" in told.text) == (400, True), told.text


def test_a_search_has_columns_and_sets_within_limits(client: httpx.Client) -> None:
    fields = [
        f"<search_field><element_name>{MR}</element_name><field_ID>f{n}</field_ID></search_field>" for n in range(MANY)
    ]
    assert searched(client, columns="".join(fields)).status_code == 400
    assert searched(client, columns="".join(fields[:200])).status_code == 200
    sets = '<child_set method="OR"></child_set>' * MANY
    assert searched(client, sets).status_code == 400
    deep = '<child_set method="OR">' * 30 + criterion(f"{MR}/LABEL", "=", "x") * 90 + "</child_set>" * 30
    assert searched(client, deep).status_code == 200
    days = ",".join(f"20{n // 28 % 90:02}-01-{n % 28 + 1:02}" for n in range(200))
    assert searched(client, criterion(f"{MR}/DATE", "IN", days) * 20).status_code == 200


def test_pyxnat_s_search_of_10_000_subjects_is_taken(client: httpx.Client) -> None:
    """One criterion each, 3 MB of them: bodies of clients go through the bounds."""
    padded = "<!--" + "x" * 200 + "-->"
    either = "".join(criterion(f"{SUBJECT}/SUBJECT_ID", "=", f"XNAT_S{n:05}") + padded for n in range(MANY))
    told = searched(client, f'<child_set method="OR">{either}</child_set>', root=SUBJECT)
    assert (told.status_code, len(told.text.splitlines())) == (200, 2)


FORMS: list[tuple[str, str, Any]] = [
    ("POST", "/login", 400),
    ("POST", "/projects", 400),
    ("PUT", "/data/services/auth", 400),
    ("POST", "/data/services/archive", 400),
    ("POST", "/data/services/prearchive/move", 400),
    ("POST", "/data/services/import", 400),
    ("PUT", "/data/projects/S/subjects/Sub0/experiments/New", 400),
]


@pytest.mark.parametrize(("method", "address", "status"), FORMS)
def test_a_form_has_no_10_000_fields(client: httpx.Client, method: str, address: str, status: int) -> None:
    told = client.request(method, address, content=FIELDS[:65_000], headers=URLENCODED)
    assert told.status_code == status, told.text[:300]
    parts = "".join(f'--b\r\nContent-Disposition: form-data; name="a{n}"\r\n\r\n\r\n' for n in range(MANY))
    told = client.request(
        method, address, content=parts + "--b--", headers={"Content-Type": "multipart/form-data; boundary=b"}
    )
    assert 400 <= told.status_code < 500, told.text[:300]


@pytest.mark.parametrize(
    ("address", "body"),
    [
        ("/api/v1/prearchive/archive", {"sessions": ["x"] * MANY}),
        ("/api/v1/prearchive/delete", {"sessions": ["x"] * MANY}),
        ("/api/v1/sessions/known", {"sessions": [{"study_uid": "1.2"}] * MANY}),
        ("/api/v1/subscriptions", {"kind": "email", "target": "a@b", "states": ["placed"] * MANY}),
        ("/api/v1/projects", {f"f{n}": 1 for n in range(MANY)}),
    ],
)
def test_a_body_of_the_api_has_no_10_000_members(client: httpx.Client, address: str, body: Any) -> None:
    told = client.post(address, json=body)
    assert (told.status_code, told.json()["code"]) == (400, "request_invalid"), told.text[:300]
    assert client.post(address, content=b'{"sessions": ' + b"[" * 100_000).status_code == 422


def test_documents_of_10_000_elements_or_parts_are_refused_or_read(client: httpx.Client) -> None:
    address = "/data/projects/S/subjects/Sub0/experiments/Made"
    xml = "<MRSession>" + "".join(f"<f{n}>x</f{n}>" for n in range(MANY)) + "</MRSession>"
    assert client.put(address, content=xml, headers={"Content-Type": "text/xml"}).status_code == 201
    nested = "".join(f"--{n}\r\nContent-Type: multipart/mixed; boundary={n + 1}\r\n\r\n" for n in range(MANY))
    told = client.put(address, content=nested, headers={"Content-Type": "multipart/form-data; boundary=0"})
    assert told.status_code == 400, told.text[:300]
    parts = "".join('--b\r\nContent-Disposition: form-data; name="a"; filename="f"\r\n\r\n\r\n' for _ in range(MANY))
    told = client.put(address, content=parts + "--b--", headers={"Content-Type": "multipart/form-data; boundary=b"})
    assert told.status_code == 400, told.text[:300]


def test_states_that_are_named_10_000_times_are_a_few(client: httpx.Client) -> None:
    for one in ("placed", "placed,failed"):
        told = client.get("/api/v1/imports?state=" + ",".join([one] * 4_000))
        assert (told.status_code, told.json()["items"]) == (200, [])


def test_addresses_with_10_000_names_are_no_fault(client: httpx.Client) -> None:
    for address in (
        "/data/experiments/{}", "/data/projects/{}", "/data/projects/S/subjects/{}", "/data/projects/S/experiments/{}",
        "/data/experiments/XNAT_E00001/scans/{}", "/data/prearchive/projects/{}",
    ):  # fmt: skip
        told = client.get(address.format(NUMBERS))
        of_one = address in ("/data/projects/{}", "/data/projects/S/subjects/{}")
        assert told.status_code == (404 if of_one else 400), (address, told.text[:300])
        assert of_one or "At most 2000 are looked up at once" in told.text
