"""Imports of sessions that move, killed at named points: the old session stands or the new one, never both or none."""

from __future__ import annotations

import hashlib
import re
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select, update

from scandock.access.principal import SYSTEM, Door, Principal
from scandock.catalog.tables import session, upload
from scandock.model.crash_points import POINTS
from scandock.queue.claim import SlotUsage, claim
from scandock.queue.owner import this_owner
from scandock.queue.retry import retry_upload
from scandock.services.archiving import archive_session
from scandock.services.consistency_check import check_data
from scandock.services.context import ServiceContext
from scandock.services.data_catalog import open_data, open_data_catalog
from scandock.services.privacy_scripts import set_script
from scandock.services.session_moves import move_session
from scandock.services.settings import load_settings
from scandock.testing.server import add_account
from scandock.workers.attempt import AttemptRequest, run_attempt
from tests.builders import Image, make_data_folder
from tests.crash.case_share import choose_cases
from tests.crash.forked import ForkedCommand
from tests.crash.processes import environment

pytestmark = [pytest.mark.crash, pytest.mark.processes]
SCRIPT = """version "6.1"
(0010,0010) := subject
(0010,0020) := session
(0020,000D) := hashUID[(0020,000D)]
(0020,000E) := hashUID[(0020,000E)]
(0008,0018) := hashUID[(0008,0018)]
"""
_TIMESTAMP = re.compile(r"(?<=/)[0-9]{8}_[0-9]{9}/")
KINDS = ("separated", "joined", "kept")


def attempt(data: str) -> int:
    """What is killed: the import that waits, in its process."""
    settings = load_settings()
    catalog = open_data_catalog(data, settings)
    try:
        waiting = claim(catalog, this_owner(place=catalog.place), SlotUsage(1))
    finally:
        catalog.dispose()
    assert waiting is not None
    order = AttemptRequest(
        data=data,
        upload=waiting.lease.uuid,
        token=waiting.lease.token,
        previous=waiting.previous,
        attempt=waiting.attempt,
        exhausted=waiting.exhausted,
        reason=waiting.reason,
    )
    run_attempt(order, settings)
    return 0


def run(data: Path, **variables: str) -> int:
    command = ForkedCommand(
        f"{__name__}:{attempt.__name__}",
        str(data),
        argv=["attempt"],
        env=environment(SCANDOCK_WORKERS="1", **variables),
    )
    _, err = command.communicate(60)
    assert "Traceback" not in err, err
    return command.wait()


def stands(data: Path) -> dict[str, str]:
    """What the archive and the prearchive hold; timestamps of the prearchive are left out, as new ones differ."""
    return {
        _TIMESTAMP.sub("", path.relative_to(data).as_posix()): hashlib.sha256(path.read_bytes()).hexdigest()
        for area in ("archive", "prearchive")
        for path in (data / area).rglob("*")
        if path.is_file()
    }


def state_of(data: Path) -> str:
    settings = load_settings()
    with open_data(str(data), settings) as (catalog, _), catalog.read() as connection:
        state: str = connection.execute(select(upload.c.state).order_by(upload.c.id.desc()).limit(1)).scalar_one()
    return state


@dataclass(frozen=True)
class Scenario:
    """A DATA in which a session waits for its import, and what stands before it and after."""

    base: Path
    before: dict[str, str]
    after: dict[str, str]


def make_scenario(folder: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> Scenario:
    """A session with PET and MR that is to be two; one that another takes in; one that stays under its name, held."""
    site = make_data_folder(folder, monkeypatch)
    site.project("P", petmr="separate", identified="hold" if kind == "kept" else "accept")
    pet, mr = (
        Image(case="killed", series=name, modality=modality, series_number=number, patient_name=b"SALT^ANNA").file()
        for name, modality, number in (("pet", b"PT", b"1"), ("t1", b"MR", b"2"))
    )
    entries = {"s/1.dcm": pet, "s/2.dcm": mr} if kind == "separated" else {"s/2.dcm": mr, "s/n.txt": b"seen"}
    names = {"session": "E1", "subject": "S1", "destination": "prearchive"}
    uuid = site.bring(entries, project="P" if kind == "kept" else "Q", **names).session["id"]
    with open_data(str(site.data), site.settings) as (catalog, store):
        number = add_account(catalog, "admin", "", admin=True)
        set_script(ServiceContext(catalog, store, site.settings, SYSTEM), "P", SCRIPT)
        if kind == "kept":
            with catalog.write() as connection:
                connection.execute(update(session).values(state="ready", held_code=""))
    site.scrubs = True
    if kind == "joined":
        more = Image(case="killed", series="t1", modality=b"MR", series_number=b"2", number=2).file()
        site.bring({"s/3.dcm": more}, project="P", **names)
    with open_data(str(site.data), site.settings) as (catalog, store):
        context = ServiceContext(
            catalog, store, site.settings, Principal(number, "admin", "admin", admin=True, door=Door.BASIC)
        )
        outcome = archive_session(context, uuid) if kind == "kept" else move_session(context, uuid, project_name="P")
        assert outcome.waits
    done = folder / "done"
    shutil.copytree(site.data, done)
    assert run(done) == 0
    assert state_of(done) in ("placed", "held")
    assert check_data(str(done), site.settings) == []
    scenario = Scenario(site.data, stands(site.data), stands(done))
    count = {"separated": 2, "joined": 1, "kept": 1}[kind]
    assert len({path.split("/scans/")[0] for path in scenario.after if "/scans/" in path}) == count
    new_images = {digest for path, digest in scenario.after.items() if path.endswith(".dcm")}
    assert kind == "joined" or not set(scenario.before.values()) & new_images
    return scenario


@pytest.fixture(scope="module")
def scenarios(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scenario]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        return {kind: make_scenario(tmp_path_factory.mktemp(kind), kind, monkeypatch) for kind in KINDS}


PART = [
    ("separated", "read"), ("separated", "scrubbed"), ("separated", "intent"), ("separated", "switched_one"),
    ("separated", "published"), ("separated", "retired"), ("joined", "sealed"), ("joined", "published"),
    ("kept", "switched_one"), ("kept", "published"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "point"), choose_cases(PART, [(kind, point) for kind in KINDS for point in POINTS[:-1]])
)
def test_a_kill_leaves_the_old_session_or_the_new_one(
    tmp_path: Path, scenarios: dict[str, Scenario], kind: str, point: str
) -> None:
    scenario = scenarios[kind]
    data = tmp_path / "data"
    shutil.copytree(scenario.base, data)
    assert run(data, SCANDOCK_CRASH_AT=point) == -signal.SIGKILL
    assert check_data(str(data), load_settings()) == []
    is_done = POINTS.index(point) >= POINTS.index("intent")
    assert stands(data) == (scenario.after if is_done else scenario.before)
    assert (state_of(data) == "received") is not is_done
    if not is_done:
        assert run(data) == 0
    assert stands(data) == scenario.after
    assert check_data(str(data), load_settings()) == []
    assert list((data / "work").iterdir()) == []


@pytest.mark.parametrize("point", ["intent", "switched_one", "switched"])
def test_a_copy_without_what_was_staged_has_the_old_session_or_the_new_one(
    tmp_path: Path, scenarios: dict[str, Scenario], point: str
) -> None:
    """One of two sessions may have its name already: both are given up, and the old one stands."""
    scenario, data = scenarios["separated"], tmp_path / "data"
    shutil.copytree(scenario.base, data)
    assert run(data, SCANDOCK_CRASH_AT=point) == -signal.SIGKILL
    shutil.rmtree(data / "work")
    assert check_data(str(data), load_settings()) == []
    is_done = point == "switched"
    assert stands(data) == (scenario.after if is_done else scenario.before)
    assert state_of(data) == ("placed" if is_done else "failed")
    if is_done:
        return
    with open_data(str(data), load_settings()) as (catalog, _), catalog.write() as connection:
        number = connection.execute(select(upload.c.id).order_by(upload.c.id.desc()).limit(1)).scalar_one()
        assert retry_upload(catalog, connection, number)
    assert run(data) == 0
    assert stands(data) == scenario.after
    assert check_data(str(data), load_settings()) == []
