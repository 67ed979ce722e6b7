"""A host that can't import leaves imports to one that can, and takes them again once it can."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from scandock.model.errors import Fault, ScandockError
from scandock.workers import host_check
from scandock.workers.host_check import HANG_SECONDS, HostCheck


class Machine:
    """Whose store fails as a test says, and beside which there is another host or not."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fault: Exception | None = None
        self.now = 0.0
        self.lasts = 0.0
        self.others = True
        self.hung: ScandockError | None = None
        monkeypatch.setattr(host_check, "can_others_import", lambda _: self.others)
        self.check = HostCheck(cast(Any, SimpleNamespace(host="id")), self._look, lambda: self.now)

    def _look(self) -> None:
        self.now += self.lasts
        self.hung = self.check.problem
        if self.fault is not None:
            raise self.fault


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def refused(check: HostCheck) -> str:
    with pytest.raises(Fault) as error:
        check.check_claim()
    assert error.value.code == check.code
    return error.value.code


def test_what_fails_is_left_to_other_hosts_until_it_is_mended(machine: Machine) -> None:
    machine.check.look()
    machine.check.check_claim()
    machine.fault = Fault("privacy_key", "There is no key.")
    machine.check.look()
    assert refused(machine.check) == "privacy_key"
    machine.fault = None
    machine.check.look()
    machine.check.check_claim()
    assert machine.check.code == ""


def test_where_no_other_host_can_imports_are_tried(machine: Machine) -> None:
    machine.fault, machine.others = Fault("privacy_key", "There is no key."), False
    machine.check.look()
    machine.check.check_claim()
    assert machine.check.code == "privacy_key", "other hosts do not learn of it"


def test_a_store_that_does_not_answer_counts_as_one_that_fails(machine: Machine) -> None:
    machine.lasts = HANG_SECONDS
    machine.check.look()
    assert machine.hung is None
    machine.lasts = HANG_SECONDS + 1
    machine.check.look()
    assert machine.hung is not None
    assert (machine.hung.code, "for 6 seconds" in str(machine.hung)) == ("store_failed", True)
    machine.check.check_claim()  # it has answered


def test_a_check_that_fails_by_a_mistake_is_asked_again(machine: Machine) -> None:
    machine.fault = ValueError("a mistake")
    machine.check.look()
    assert refused(machine.check) == "internal"
    machine.fault = None
    machine.check.look()
    machine.check.check_claim()
