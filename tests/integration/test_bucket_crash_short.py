"""A short share of the crash suite of a server whose files are in a bucket. All of it: `make crash`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import postgres
from tests.crash.bucket_rounds import Site, bucket_kinds, bucket_rounds, run_bucket_round
from tests.crash.server_rounds import ServerRound
from tests.s3_server import Server

pytestmark = [pytest.mark.crash, pytest.mark.processes]


def test_what_was_acknowledged_is_in_the_bucket_once_and_nothing_else(
    tmp_path: Path, postgres_cluster: postgres.Cluster, s3_server: Server
) -> None:
    """Beside sweepers that wait for no grace and are killed one after the other."""
    site = Site(postgres_cluster, s3_server)
    run_bucket_round(site, tmp_path / "round", ServerRound(victim="group", at="pack_sent", seed=3), each=1)


def test_many_rounds_play_every_kind() -> None:
    rounds = list(bucket_rounds(100, 1))
    assert {(one.victim, one.at) for one in rounds} == set(bucket_kinds())
    assert all(ServerRound.parse(str(one)) == one for one in rounds)
