"""A short share of `make attack`: attacks at a small size are refused or answered, and others are served meanwhile.

What is asserted are answers alone, never times or memory: the limits are in the tests of the modules that have them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import pytest

from tests.attack import accounts, bodies, heads, reading, texts, use
from tests.attack.connections import CLOSED, OPEN, PATIENCE, Answers, Connection, Deadline, close_all
from tests.attack.other_client import OtherClient
from tests.attack.site import ATTACKER, AttackedSite

pytestmark = pytest.mark.processes

MB = 1_000_000
REFUSED = {"400", "413"}
CONNECTIONS = 256
"""Of one address, without a complete request."""


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[AttackedSite]:
    made = AttackedSite(tmp_path_factory.mktemp("attack"), huge_side=600, huge_frames=2, many_files=20, forked=True)
    with made.running():
        yield made


@pytest.fixture(scope="module")
def other(site) -> OtherClient:
    return OtherClient(site.port, site.small)


def too_many_connections(site: AttackedSite, _deadline: Deadline) -> Answers:
    """Whether of more connections than one address may have so many are left; those that waited the longest ended."""
    connections: list[Connection] = []
    try:
        connections.extend(site.connect(ATTACKER) for _ in range(CONNECTIONS + 20))
        connections[20].status(2.0)
        left = [one.status(0.0) for one in connections[20:]]
        ended = [one.status(2.0) for one in connections[:20]]
        return Answers({*left, f"before: {', '.join(sorted(set(ended)))}"})
    finally:
        close_all(connections)


def reserved_by_one(site: AttackedSite, _deadline: Deadline) -> Answers:
    """How the second of two uploads is answered that would reserve more than half of what is free."""
    length = site.free_bytes() * 2 // 5
    made = [site.tus(length), site.tus(length)]
    site.give_up(made)
    return Answers([str(made[0].status), f"second {made[1].status}"])


@dataclass(frozen=True)
class Case:
    """An attack, or use that looks like one, and how it may be answered."""

    name: str
    run: Callable[[AttackedSite, Deadline], Answers]
    allowed: set[str]
    seconds: float = 0.0


CASES = (
    Case("a long header", partial(heads.huge_header, size=70_000), {"431"}),
    Case("a long URL", partial(heads.long_url, size=70_000), {"414"}),
    Case("10,000 headers", heads.many_headers, {"431"}),
    Case("endless headers", partial(heads.endless_headers, most=MB), {"431"}, seconds=2.0),
    Case("a chunk extension", partial(heads.chunk_extensions, size=MB), {*REFUSED, "422", CLOSED}),
    Case("a trailer", partial(heads.trailers, size=MB), {*REFUSED, "422", "431", CLOSED}),
    Case("pipelined requests", partial(heads.pipelined, number=200), {"200", "whole"}),
    Case("many connections", too_many_connections, {OPEN, f"before: {CLOSED}"}),
    Case("2 MB to the login", partial(bodies.huge_login, size=2 * MB), {"413"}),
    Case("2 MB in chunks to the login", partial(bodies.huge_chunked_login, size=2 * MB), {"413"}),
    Case("2 MB to other logins", partial(bodies.huge_forms, size=2 * MB), {"401", "413"}),
    Case("2 MB by an account", partial(bodies.huge_bodies_of_routes, size=2 * MB), {*REFUSED}),
    Case("many fields", partial(bodies.many_fields, number=2_000), {*REFUSED}),
    Case("many parts", partial(bodies.many_parts, number=1_100), {*REFUSED}),
    Case("many rows", partial(bodies.many_rows, number=200_001), {*REFUSED}),
    Case("many values", partial(bodies.many_values, number=2_500), {"200", *REFUSED, "414", "422"}),
    Case("many criteria", partial(bodies.many_criteria, number=2_000), {"200", *REFUSED}),
    Case("deep JSON", bodies.deep_json, {*REFUSED, "422"}),
    Case("brackets", partial(texts.brackets_in_columns, number=10_000), {"200", "400"}),
    Case("long search fields", partial(texts.long_search_fields, number=2_000), {"200", "400"}),
    Case("unread frames", reading.unread_frames, {"200", "open"}, seconds=0.3),
    Case("unread files", partial(reading.unread_files, number=20), {"200", "open"}, seconds=0.3),
    Case("wrong logins", partial(accounts.wrong_logins, number=60), {"401", "429", "503"}),
    Case("one session many times", partial(reading.one_session_many_times, times=200, at_once=2), {"200"}),
    Case("many names", partial(reading.many_names, number=2_100), {*REFUSED, "404"}),
    Case("reserved space", reserved_by_one, {"201", "second 507", "second 429", "second 409"}),
    Case("pictures of one image", partial(reading.huge_pictures, at_once=4), {"200"}),
    Case("many logins", partial(accounts.many_logins, number=205), {"200"}, seconds=PATIENCE),
    Case("use: 50 browsers", partial(use.browsers_behind_one_address, pause=0.0), {"200"}),
    Case("use: a mapping of 16 MB", partial(use.large_mapping, rows=20_000), {"204"}),
    Case("use: a slow upload", use.slow_upload, {"202"}, seconds=1.0),
    Case("use: a paused download", use.paused_download, {"200"}, seconds=0.3),
    Case("use: XNAT's clients", partial(use.clients_of_xnat, criteria=1_000), {"200", "201"}),
)


def test_attacks_are_refused_and_others_are_served(site, other, subtests):
    for case in CASES:
        with subtests.test(case.name):
            play(site, other, case)


def play(site: AttackedSite, other: OtherClient, case: Case) -> None:
    """Run an attack, and let the other client work until its end."""
    web, faults = site.web_pid(), len(site.faults())
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(case.run, site, Deadline(case.seconds))
        other.round()
        while not running.done():
            other.round()
    answers = running.result()
    failed, other.failed = other.failed, []
    assert not failed
    assert answers.total()
    assert set(answers) <= case.allowed
    assert site.faults()[faults:] == []
    assert site.web_pid() == web
