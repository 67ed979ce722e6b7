"""The trail's pages name what its lines are about, where it is still there and the reader may see it."""

from __future__ import annotations

import pytest
from sqlalchemy import event, select, update

from scandock.access.principal import SYSTEM
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
