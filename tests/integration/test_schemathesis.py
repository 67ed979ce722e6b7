"""Requests made up from the API's own description, by everybody: nothing breaks, and nobody sees what is not theirs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import content_type_conformance, not_a_server_error, response_schema_conformance
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok

from tests.crash.case_share import RUN_ALL, choose_cases
from tests.integration.sample_server import CANARY, PERSONAS, SampleProject, SampleServer, serve_samples
from tests.integration.web import serve_by_socket

pytestmark = pytest.mark.long

IS_FUZZING = settings.get_current_profile_name() == "fuzz"
EXAMPLES = 60 if IS_FUZZING else 5 if RUN_ALL else 3
"""Of each operation; every role sends each of them."""
PARTS = 2
"""Tests that the operations are shared out among; to begin one costs as much as a quarter of all requests."""
ASKING = choose_cases([one for one in PERSONAS if one.name not in ("uploader", "reading", "uploading")], PERSONAS)
"""Everybody by role; in `make crash` those too who have a token of less scope, as in the matrix's test."""
schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")
CHECKS = [not_a_server_error, response_schema_conformance, content_type_conformance]
FULL_CHECKS = CHECKS[1:]
OURS = settings(
    max_examples=EXAMPLES,
    derandomize=not IS_FUZZING,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SampleServer]:
    with serve_samples(tmp_path_factory.mktemp("described"), serve_by_socket) as ready:  # streams of events never end
        yield ready


def real_ids(places: list[SampleProject]) -> dict[str, list[str]]:
    """What there is, by the names of parameters and fields: made-up ids alone would find nothing."""
    sessions = [one for place in places for one in (place.archived, place.waiting, place.trashed) if one]
    return {
        "project": [place.project for place in places],
        "session": sessions,
        "sessions": sessions,
        "subject": [place.subject for place in places if place.subject],
        "subject_id": [place.subject for place in places if place.subject],
        "id": [place.ended for place in places],
        "upload": [place.ended for place in places],
        "scan": ["1"],
        "file": ["0"],
    }


def spiced(case: Any, data: st.DataObject, known: Mapping[str, list[str]]) -> None:
    """Put real ids into a case where it names something, half of the times."""
    body = case.body if isinstance(case.body, dict) else {}
    for given_names in (case.path_parameters, case.query, body):
        for name in sorted((given_names or {}).keys() & known.keys()):
            if data.draw(st.booleans()):
                one = data.draw(st.sampled_from(known[name]))
                given_names[name] = [one] if name == "sessions" else one
    if "project" in known and not (case.query or {}) and data.draw(st.booleans()):
        query = {"project": data.draw(st.sampled_from(known["project"]))}
        if any(one.name == "project" for one in case.operation.query):
            case.query = query


def leaked(places: list[SampleProject], response: requests.Response) -> str:
    """What of the private project an answer says that the request did not say itself; empty where nothing."""
    private = places[0].project
    told = f"{dict(response.headers)} {response.content.decode('utf-8', 'replace')}"
    sent = f"{response.request.url} {response.request.headers} {response.request.body!r}"
    if private in sent:
        told = told.replace(private, "")
    return told[:500] if CANARY.casefold() in told.casefold() else ""


def is_full(told: requests.Response) -> bool:
    """Whether an upload of a made-up length was refused, as no disk of this machine has room for it: a right answer."""
    return told.status_code == 507 and told.json()["code"] == "disk_full"


@pytest.fixture(scope="module")
def sessions(made: SampleServer) -> Iterator[dict[str, requests.Session]]:
    """Who asks, by name: each with connections and a token of their own."""
    opened = {}
    for persona in ASKING:
        session = opened[persona.name] = requests.Session()
        session.trust_env = False
        if persona.signed_in:
            session.headers["Authorization"] = made.clients[persona.name].headers["Authorization"]
    yield opened
    for session in opened.values():
        session.close()


@pytest.mark.hypothesis
@pytest.mark.parametrize("part", range(PARTS))
def test_no_request_breaks_the_server_or_shows_what_is_hidden(
    made: SampleServer, sessions: dict[str, requests.Session], part: int, subtests: pytest.Subtests
) -> None:
    """Each request is made up once, and sent by everybody."""
    schema = schemathesis.openapi.from_dict(made.web.app.openapi())
    schema.config.max_stream_events = 1  # the stream of all imports never ends, and each would be read for 30 s
    known = real_ids(made.places)
    asked: Counter[str] = Counter()
    allowed: Counter[str] = Counter()
    for place, result in enumerate(schema.get_all_operations()):
        assert isinstance(result, Ok)
        operation = result.ok()
        if place % PARTS != part:
            continue

        @OURS
        @given(case=st.one_of(*(operation.as_strategy(mode) for mode in GenerationMode)), data=st.data())
        def ask(case: Any, data: st.DataObject) -> None:
            spiced(case, data, known)
            for persona in ASKING:
                told = case.call(base_url=made.web.base, session=sessions[persona.name], timeout=30)
                asked[persona.name] += 1
                allowed[persona.name] += told.status_code < 400
                try:
                    case.validate_response(told, checks=FULL_CHECKS if is_full(told) else CHECKS)
                    if persona.role is None and not persona.admin:
                        assert not leaked(made.places, told), (case.as_curl_command(), leaked(made.places, told))
                except (Exception, FailureGroup) as error:
                    error.add_note(f"It was {persona.name} who asked.")
                    raise

        with subtests.test(operation.label):
            ask()
    assert {name: count for name, count in asked.items() if count <= 200 // PARTS} == {}
    assert {persona.name for persona in ASKING if allowed[persona.name] <= 20 // PARTS} == set()
    for persona in ASKING:
        me = made.clients[persona.name].get("/api/v1/auth/me")
        assert me.status_code == (200 if persona.signed_in else 401), persona.name
    assert not [line for line in made.web.logged if line.get("event") == "unexpected"]


def test_what_is_leaked_would_be_found(made: SampleServer) -> None:
    owner = made.clients["owner"]
    with requests.Session() as session:
        session.trust_env = False
        told = session.get(
            f"{made.web.base}/api/v1/sessions", headers={"Authorization": owner.headers["Authorization"]}
        )
    assert leaked(made.places, told)
