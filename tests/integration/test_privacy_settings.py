"""Privacy as administrators set it on the server's own machine: settings, scripts, lookup tables, keys."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from scandock.access.principal import SYSTEM
from scandock.catalog.server_tables import audit
from scandock.catalog.tables import privacy_text
from scandock.deidentification.script.errors import LookupTableRefused, ScriptRefused
from scandock.rules.privacy_policy import Policy, PrivacySettings
from scandock.services.context import ServiceContext
from scandock.services.data_errors import PrivacyKeyNotMade, PrivacyKeyUnfit
from scandock.services.editing import etag
from scandock.services.privacy_in_force import load_privacy
from scandock.services.privacy_key import KEY_FILE, add_key, list_keys, load_keys, need_keys
from scandock.services.privacy_scripts import (
    enable_script,
    find_lookup,
    find_script,
    set_lookup,
    set_script,
)
from scandock.services.privacy_settings import Privacy, find_privacy, set_privacy
from scandock.services.project_errors import PrivacyLaxer, ScriptMissing
from scandock.services.session_errors import ChangedMeanwhile
from scandock.store.local import LocalStore
from tests.builders import DataFolder, Image, make_data_folder
from tests.integration.in_process import call_in_process

SCRIPT = 'version "6.6"\n(0010,0010) := "NAME"\n'
TABLE = "pid/MARK-1 = A7\nsite/9 = north\n"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> DataFolder:
    site = make_data_folder(tmp_path, monkeypatch, database_url)
    site.checked = False
    return site


@pytest.fixture
def context(site: DataFolder) -> Iterator[ServiceContext]:
    site.project("P")
    with site.catalog() as catalog:
        yield ServiceContext(catalog, LocalStore(site.data), site.settings, SYSTEM)


def read_in_force(context: ServiceContext) -> Any:
    with context.catalog.read() as connection:
        return load_privacy(connection, context.store.path, context.settings)


def show(context: ServiceContext, project: str | None = None) -> Privacy:
    with context.catalog.read() as connection:
        return find_privacy(connection, SYSTEM, project, context.settings)


def test_nothing_is_in_force_and_no_key_is_made_where_nobody_says_anything(context: ServiceContext) -> None:
    assert read_in_force(context) is None
    assert set_privacy(context, None, PrivacySettings()).version == 0
    assert not Path(context.store.path, KEY_FILE).exists()


def test_a_profile_sets_levels_and_makes_the_key_that_nobody_else_reads(context: ServiceContext) -> None:
    told = set_privacy(context, None, PrivacySettings(profile="basic, modified-dates"))

    assert (told.names, told.study_uid, told.patient, told.version) == ("drop", "hash", "drop", 1)
    assert told.in_force.resources == "drop"
    path = Path(context.store.path, KEY_FILE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    privacy = read_in_force(context)
    assert privacy.of("P").profile == "basic,modified-dates"
    assert privacy.of("P").key.hex() == path.read_text().strip()
    assert privacy.at_door() == Policy("drop", "hash", "drop")


def test_a_project_may_be_stricter_than_its_site_and_never_laxer(context: ServiceContext) -> None:
    set_privacy(context, None, PrivacySettings(names="hash", residue="refuse"))

    with pytest.raises(PrivacyLaxer, match="names, residue"):
        set_privacy(context, "P", PrivacySettings(names="keep", residue="warn"))
    told = set_privacy(context, "P", PrivacySettings(patient="drop"))

    assert (told.in_force.names, told.in_force.patient, told.in_force.residue) == ("hash", "drop", "refuse")
    set_privacy(context, None, PrivacySettings(names="drop"))
    assert show(context, "P").in_force.names == "drop"
    assert read_in_force(context).of("p").policy == Policy("drop", "keep", "drop")
    assert read_in_force(context).of("Q").policy == Policy("drop", "keep", "keep")


def test_the_sites_script_runs_before_the_projects_and_one_that_is_off_does_not(context: ServiceContext) -> None:
    mine = 'version "6.1"\n(0010,0020) := subject\n'
    assert set_script(context, None, SCRIPT).enabled
    set_script(context, "P", mine.replace("\n", "\r\n"))

    assert read_in_force(context).of("P").scripts == (SCRIPT, mine)
    assert show(context, "P").in_force.scripts == ["site", "project"]
    assert show(context, "P").in_force.names == "keep"  # scripts alone change no policy
    enable_script(context, None, enabled=False)
    assert read_in_force(context).of("P").scripts == (mine,)
    assert not set_script(context, None, SCRIPT + "\n").enabled
    set_script(context, "P", " \n")
    assert read_in_force(context) is None
    with pytest.raises(ScriptMissing):
        enable_script(context, "P", enabled=True)


def test_a_script_that_cannot_be_read_is_refused_by_line_and_column(context: ServiceContext) -> None:
    with pytest.raises(ScriptRefused, match="line 2, column"):
        set_script(context, None, 'version "6.6"\n(0010,0010) = = "x"\n')
    with context.catalog.read() as connection:
        assert find_script(connection, SYSTEM, None).version == 0


def test_a_lookup_table_is_stored_sealed_and_shown_without_its_lines(context: ServiceContext) -> None:
    told = set_lookup(context, None, TABLE)

    assert (told.keys, told.kinds) == (2, ["pid", "site"])
    assert read_in_force(context) is None  # a table alone does nothing
    with context.catalog.read() as connection:
        stored = connection.execute(select(privacy_text.c.text)).scalars().all()
        trail = connection.execute(select(audit.c.details)).scalars().all()
    shown = re.compile(r"MARK-1|(?<![\w+/-])A7(?![\w+/-])")  # within a sealed text, "A7" comes about by chance
    assert not any(shown.search(text) for text in (*stored, *trail))
    set_script(context, None, SCRIPT)
    set_lookup(context, "P", "pid/MARK-1 = B8\n")
    assert read_in_force(context).of("P").lookups == "pid/MARK-1 = B8\n\n" + TABLE
    with pytest.raises(LookupTableRefused, match="line 1"):
        set_lookup(context, None, "no table")
    assert set_lookup(context, None, "").keys == 0
    assert find_lookup(context, None).version == 2


def test_every_change_is_a_version_with_a_line_in_the_audit_by_fingerprint(context: ServiceContext) -> None:
    first = set_privacy(context, "P", PrivacySettings(names="drop"))
    assert set_privacy(context, "P", PrivacySettings(names="drop"), if_match=etag(first)).version == 1
    second = set_privacy(context, "P", PrivacySettings(names="hash"))
    with pytest.raises(ChangedMeanwhile):
        set_privacy(context, "P", PrivacySettings(), if_match=etag(first))

    with context.catalog.read() as connection:
        query = select(audit.c.target, audit.c.details).where(audit.c.action == "privacy_set").order_by(audit.c.id)
        lines = connection.execute(query).all()
    assert [line.target for line in lines] == ["P", "P"]
    assert second.fingerprint in lines[1].details
    assert "hash" not in lines[1].details


def test_no_new_key_is_made_where_the_one_is_gone_or_another(context: ServiceContext) -> None:
    set_privacy(context, None, PrivacySettings(names="drop"))
    path = Path(context.store.path, KEY_FILE)
    own = path.read_text()

    for content in (None, "", "f" * 64 + "\n", "no key\n"):
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_text(content)
        with pytest.raises(PrivacyKeyUnfit):
            read_in_force(context)
        with pytest.raises(PrivacyKeyUnfit):
            set_privacy(context, "P", PrivacySettings(names="drop"))
        with pytest.raises(PrivacyKeyUnfit):
            add_key(context.catalog, SYSTEM, context.store.path, context.settings)
    path.write_text(own)
    assert read_in_force(context) is not None


def test_a_second_host_makes_no_key_of_its_own(context: ServiceContext, tmp_path: Path) -> None:
    set_privacy(context, None, PrivacySettings(names="drop"))
    host = tmp_path / "host"
    host.mkdir()
    with pytest.raises(PrivacyKeyUnfit, match="Copy the file from another host"):
        add_key(context.catalog, SYSTEM, str(host), context.settings)
    with pytest.raises(PrivacyKeyUnfit), context.catalog.write() as connection:
        need_keys(context.catalog, connection, str(host), context.settings)
    assert list(host.iterdir()) == []
    (host / KEY_FILE).write_bytes(Path(context.store.path, KEY_FILE).read_bytes())
    assert len(add_key(context.catalog, SYSTEM, str(host), context.settings)) == 2
    with pytest.raises(PrivacyKeyUnfit):  # the first one lacks the new key now
        read_in_force(context)


def test_a_key_that_is_added_hashes_and_the_older_ones_are_looked_up(context: ServiceContext) -> None:
    set_lookup(context, None, TABLE)
    set_privacy(context, None, PrivacySettings(names="drop"))
    before = read_in_force(context).of("P").key
    keys = add_key(context.catalog, SYSTEM, context.store.path, context.settings)

    rules = read_in_force(context).of("P")
    assert rules.key != before
    assert rules.older_keys == (before,)
    assert rules.lookups == TABLE  # sealed by the older one
    assert [key.is_newest for key in keys] == [False, True]
    written = Path(context.store.path, KEY_FILE)
    written.write_text(written.read_text() + "ab" * 32 + "\n")
    assert read_in_force(context).of("P").key == rules.key  # one that somebody wrote there is not in use yet
    add_key(context.catalog, SYSTEM, context.store.path, context.settings)
    assert read_in_force(context).of("P").key == bytes.fromhex("ab" * 32)
    with context.catalog.read() as connection:
        assert len(list_keys(connection, SYSTEM)) == 3
        assert load_keys(connection, context.store.path, context.settings).every[-1] == before


def test_a_key_file_of_the_settings_is_not_made_in_passing(context: ServiceContext, tmp_path: Path) -> None:
    elsewhere = tmp_path / "mounted" / "key"
    named = ServiceContext(
        context.catalog, context.store, context.settings.model_copy(update={"privacy_key_file": str(elsewhere)}), SYSTEM
    )
    with pytest.raises(PrivacyKeyNotMade, match="admin privacy key add"):
        set_script(named, None, SCRIPT)
    elsewhere.parent.mkdir()
    add_key(named.catalog, SYSTEM, named.store.path, named.settings)
    set_script(named, None, SCRIPT)

    assert read_in_force(named).of("P").key.hex() == elsewhere.read_text().strip()
    assert not Path(context.store.path, KEY_FILE).exists()


def test_imports_go_by_what_is_set_and_are_refused_without_the_key(site: DataFolder, context: ServiceContext) -> None:
    archive = {"a.dcm": Image(case="key", patient_name=b"MARKED^NAME", patient_id=b"MARKED-ID").file()}
    set_privacy(context, "P", PrivacySettings(profile="basic", names="keep", study_uid="hash", patient="hash"))
    site.scrubs = True
    outcome = site.bring(archive)

    assert [line["code"] for line in outcome.lines] == ["stored_deid"]
    (stored,) = (site.data / "archive").rglob("*.dcm")
    assert b"MARKED" not in stored.read_bytes()
    key = site.data / KEY_FILE
    key.rename(site.root / "key")
    with pytest.raises(PrivacyKeyUnfit):
        site.bring(archive)
    (site.root / "key").rename(key)
    assert site.bring(archive).lines[0]["verdict"] == "duplicate"


def test_the_command_line_says_that_the_key_is_gone(site: DataFolder, context: ServiceContext) -> None:
    set_privacy(context, None, PrivacySettings(names="drop"))
    shown = call_in_process("admin", "privacy", "key", "show", "--data", site.data)
    assert "can't be used" not in shown.stdout
    (site.data / KEY_FILE).unlink()
    shown = call_in_process("admin", "privacy", "key", "show", "--data", site.data)
    assert "can't be used: it can't be read: No such file or directory" in shown.stdout
    assert "hashes now" in shown.stdout


@pytest.mark.parametrize("level", ["--patient", "--study-uid"])
def test_the_command_line_says_what_becomes_of_residue_without_a_profile_too(site: DataFolder, level: str) -> None:
    line = "objects in which values of the patient are left"
    kept = call_in_process("admin", "privacy", "show", "--data", site.data)
    assert line not in kept.stdout
    shown = call_in_process("admin", "privacy", "set", level, "hash", "--residue", "refuse", "--data", site.data)
    assert f"{line}: refused" in shown.stdout
