"""The API's description: complete enough to log in, upload and read an import by a client made from it."""

from __future__ import annotations

from typing import Any

import pytest

from scandock.access.tokens import MAX_DAYS
from scandock.services.settings import load_settings
from scandock.web.app import create_app
from scandock.web.description import changes, uploads
from scandock.web.description.responses import ANSWERS, OPEN
from scandock.web.problems import MEDIA_TYPE

OURS = [changes.SCHEMAS]


@pytest.fixture(scope="module")
def schema(tmp_path_factory) -> dict[str, Any]:
    return create_app(str(tmp_path_factory.mktemp("described")), load_settings()).openapi()


def operations(schema):
    return {
        (method.upper(), path): operation
        for path, every in schema["paths"].items()
        for method, operation in every.items()
    }


def good(operation):
    return next(answer for status, answer in operation["responses"].items() if status[:1] in "23")


def refs(part):
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for value in part.values():
            yield from refs(value)
    elif isinstance(part, list):
        for value in part:
            yield from refs(value)


def sent(operation):
    return {one["name"]: one for one in operation.get("parameters", ()) if one["in"] == "header"}


@pytest.mark.long
def test_every_answer_in_json_says_its_shape(schema):
    silent = [
        where
        for where, operation in operations(schema).items()
        for kind, content in good(operation).get("content", {}).items()
        if kind == "application/json" and not ({"$ref", "properties"} & content.get("schema", {}).keys())
    ]
    assert silent == []


def test_what_is_said_of_routes_is_said_of_routes_that_there_are(schema):
    there = operations(schema).keys()
    for table in (ANSWERS, OPEN, uploads.SENT, uploads.TOLD, uploads.BODIES):
        assert set(table) <= set(there)


def test_every_reference_leads_somewhere_and_no_name_is_taken_twice(schema):
    named = schema["components"]["schemas"]
    assert {one.rpartition("/")[2] for one in refs(schema)} <= named.keys()
    ours = [name for table in OURS for name in table]
    assert len(set(ours)) == len(ours)
    for table in OURS:
        for name, said in table.items():
            assert named[name] == said


def test_no_name_of_ours_is_that_of_a_body(tmp_path):
    app = create_app(str(tmp_path), load_settings())
    bodies = type(app).openapi(app)["components"]["schemas"].keys()
    assert not bodies & {"Problem", *(name for table in OURS for name in table)}


def test_a_client_can_log_in(schema):
    every = operations(schema)
    assert schema["components"]["securitySchemes"].keys() == {"basic", "token", "cookie", "csrf"}
    assert every["POST", "/api/v1/auth/login"]["security"] == []
    assert {"cookie": [], "csrf": []} in every["POST", "/api/v1/imports"]["security"]
    assert {} in every["GET", "/api/v1/sessions"]["security"]
    assert {} not in every["GET", "/api/v1/imports"]["security"]
    for operation in every.values():
        assert {name for one in operation["security"] for name in one} <= schema["components"]["securitySchemes"].keys()


def test_a_client_can_upload_by_each_door(schema):
    every = operations(schema)
    create = every["POST", "/api/v1/imports"]
    form = create["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
    query = {one["name"] for one in create["parameters"] if one["in"] == "query"}
    assert form.keys() == query | {"file"}
    assert "Location" in good(create)["headers"]
    begin, go_on = every["POST", "/api/v1/uploads"], every["PATCH", "/api/v1/uploads/{upload}"]
    assert {name for name, one in sent(begin).items() if one["required"]} == {"Tus-Resumable", "Upload-Length"}
    assert {name for name, one in sent(go_on).items() if one["required"]} == {"Tus-Resumable", "Upload-Offset"}
    assert "application/offset+octet-stream" in go_on["requestBody"]["content"]
    assert {"Location", "Upload-Offset", "Upload-Expires"} <= good(begin)["headers"].keys()
    assert {"Upload-Offset", "Upload-Length"} <= good(every["HEAD", "/api/v1/uploads/{upload}"])["headers"].keys()


def test_a_client_knows_an_import_again(schema):
    read = operations(schema)["GET", "/api/v1/imports/{id}"]
    assert "ETag" in good(read)["headers"]
    assert "304" in read["responses"]
    assert "If-None-Match" in sent(read)
    states = schema["components"]["schemas"]["Import"]["properties"]["state"]["enum"]
    assert {"receiving", "received", "running", "placed", "held", "partly", "refused", "failed", "cancelled"} == set(
        states
    )


def test_a_tokens_days_are_those_of_the_server(schema):
    assert schema["components"]["schemas"]["NewToken"]["properties"]["days"]["maximum"] == MAX_DAYS


def test_errors_are_problems_everywhere(schema):
    for operation in operations(schema).values():
        assert MEDIA_TYPE in operation["responses"]["default"]["content"]
