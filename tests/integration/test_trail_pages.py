"""The trail's pages name what its lines are about, where it is still there and the reader may see it."""

from __future__ import annotations

import pytest
from sqlalchemy import event, insert, select, update

from scandock.access.principal import SYSTEM
from scandock.catalog.server_tables import audit
from scandock.catalog.tables import session
from scandock.services.audit import record
from tests.integration.many_rows import seed
from tests.integration.web import serve_in_process


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    with serve_in_process(tmp_path_factory.mktemp("trail") / "data") as running:
        seed(running.site.catalog, 3, name="Mine")
        seed(running.site.catalog, 2, name="Hidden")
        running.account("olive", Mine="owner")
        yield running


def uuids(web, name):
    with web.site.catalog.read() as connection:
        rows = connection.execute(select(session.c.uuid, session.c.label).order_by(session.c.id)).all()
    return [row.uuid for row in rows][:3] if name == "Mine" else [row.uuid for row in rows][3:]


def test_lines_name_sessions_and_accounts_in_one_statement(web):
    mine, hidden = uuids(web, "Mine"), uuids(web, "Hidden")
    with web.site.catalog.write() as connection:
        connection.execute(update(session).where(session.c.uuid == hidden[0]).values(label="Secret_name"))
        for uuid in (*mine, hidden[0]):  # a session that has left the project since is none that its owner may see
            record(connection, SYSTEM, "edit", "session", uuid, project="Mine")
    asked = []
    event.listen(web.site.catalog.engine, "before_cursor_execute", lambda *told: asked.append(told[2]))
    with web.client("olive") as client:
        page = client.get("/projects/Mine/audit").text
        assert all(f"<strong>Sess_{n:05}</strong>" in page for n in range(3))
        assert hidden[0] in page
        assert "Secret_name" not in page
    assert len([one for one in asked if "session.label" in one and "UNION" in one]) == 1
    with web.client() as client:
        assert "<strong>Secret_name</strong>" in client.get("/admin/audit").text
        client.put("/api/v1/projects/Mine/members/olive", json={"role": "owner"})
        assert "<strong>olive</strong>" in client.get("/projects/Mine/audit").text
        assert "Sess_0" not in client.get("/api/v1/audit").text  # labels stay out of what is stored


def test_charts_say_their_scale_and_each_columns_number(web):
    with web.client() as client:
        page = client.get("/admin").text
    assert '<text class="most" x="0" y="5">5 sessions</text>' in page
    assert "<title>1970-01: 5 sessions</title>" in page
    assert "<title>1970-01: 2 imports, imported</title>" in page


def test_times_and_months_are_those_of_the_readers_zone(web):
    turn_of_the_year = 1_767_225_600_000  # 2026-01-01T00:00:00Z: still December in St. John's, which is 3.5 h behind
    with web.site.catalog.write() as connection:
        connection.execute(insert(audit).values(at=turn_of_the_year, actor="olive", action="edit", kind="account"))
        connection.execute(update(session).where(session.c.label == "Sess_00001").values(created=turn_of_the_year))
    with web.client() as client:
        plain = client.get("/admin").text
        assert "Month (UTC)" in plain
        assert "2026-01" in plain
        assert "Times are in <span data-zone-name>UTC</span>" in plain
        for strange in ("Nowhere/At_All", "../../etc/passwd", "x" * 200, "Europe"):
            assert "Month (UTC)" in client.get("/admin", headers={"Cookie": cookies(client, strange)}).text
        there = {"Cookie": cookies(client, "America/St_Johns")}
        page = client.get("/admin", headers=there).text
        assert "Month (America/St_Johns)" in page
        assert "2025-12" in page
        assert "2026-01" not in page
        lines = client.get("/admin/audit", headers=there).text
        last_day = "/admin/audit?since=2025-12-31&until=2026-01-01"  # of the reader's year
        assert "2025-12-31 20:30:00" in client.get(last_day, headers=there).text
        assert "2026-01-01 00:00:00" not in client.get(last_day).text
    exact = 'datetime="2026-01-01T00:00:00Z" title="2025-12-31 20:30:00 UTC-03:30"'
    assert f"<time {exact} data-seconds>2025-12-31 20:30:00</time>" in lines


def cookies(client, zone):
    return "; ".join([*(f"{one.name}={one.value}" for one in client.cookies.jar), f"scandock_zone={zone}"])
