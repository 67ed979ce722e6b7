from __future__ import annotations

import json
import os
import subprocess
import sys

from scandock.queue.owner import (
    add_catalog,
    has_ended,
    is_elsewhere,
    is_gone,
    is_mine,
    is_other_host,
    is_server_gone,
    this_owner,
)


def changed(**values):
    return json.dumps({**json.loads(this_owner(os.getpid())), **values})


def test_a_process_knows_itself_with_and_without_its_server():
    assert is_mine(this_owner())
    assert is_mine(this_owner(1))
    assert not is_mine(changed(pid=1))
    assert not is_mine("")


def test_an_owner_is_elsewhere_where_it_works_on_another_catalog_of_this_machine():
    owner = this_owner(os.getpid(), place="1:2")
    assert is_elsewhere(owner, "1:3")
    assert not is_elsewhere(owner, "1:2")
    assert not is_elsewhere(owner, "")  # PostgreSQL
    assert not is_elsewhere(this_owner(), "1:3")  # of an older version
    assert not is_elsewhere(changed(catalog="1:2", host="elsewhere"), "1:3")
    assert not is_elsewhere(changed(catalog="1:2", space=1), "1:3")
    assert not is_elsewhere("", "1:3")
    assert is_mine(owner)


def test_a_process_that_has_ended_is_gone():
    done = subprocess.run(
        [sys.executable, "-c", "from scandock.queue.owner import *; print(this_owner())"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert is_gone(done) is True
    assert is_gone(this_owner()) is False
    assert is_gone(changed(host="elsewhere")) is None
    assert is_gone("") is None


def test_a_server_is_gone_when_its_process_or_its_boot_is():
    assert not is_server_gone(this_owner(os.getpid()))
    assert is_server_gone(changed(server={"pid": os.getpid(), "started": 1}))
    assert is_server_gone(changed(boot="another"))


def test_nothing_is_said_of_a_server_that_is_not_known():
    assert not is_server_gone(this_owner())
    assert not is_server_gone(changed(host="elsewhere", server={"pid": 1, "started": 1}))
    assert not is_server_gone("")


def test_where_several_hosts_have_a_catalog_names_say_nothing_and_another_boot_is_the_leases_to_tell():
    mine = this_owner(os.getpid(), host="a")
    rebooted = json.dumps({**json.loads(mine), "boot": "another"})
    assert (is_gone(mine, "a"), is_gone(rebooted, "a"), is_gone(rebooted)) == (False, None, True)
    assert is_gone(changed(pid=2**22 + 1), "a") is True  # of this very boot
    namesake = json.dumps({**json.loads(rebooted), "host_id": "b"})
    assert is_gone(namesake, "a") is None
    assert is_server_gone(rebooted, "a")
    assert not is_server_gone(namesake, "a")
    assert not is_server_gone(changed(boot="another"), "a")  # of an older version, which had no ids


def test_what_a_host_had_before_it_was_started_again_has_ended_for_that_host_alone():
    mine = json.loads(this_owner(host="a")) | {"boot": "another"}
    assert has_ended(json.dumps(mine), "a") is True
    assert has_ended(json.dumps(mine | {"host_id": "b"}), "a") is None
    assert has_ended(this_owner(host="a"), "a") is False


def test_hosts_are_told_apart_by_their_ids():
    mine = this_owner(host="a")
    assert (is_other_host(mine, "a"), is_other_host(mine, "b"), is_other_host(mine, "")) == (False, True, False)
    assert not is_other_host(this_owner(), "a")  # of an older version
    assert not is_other_host("", "a")
    assert add_catalog(this_owner(), place="", host="a") == mine
