"""Modules that are loaded once something of them is asked for."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from scandock.model.lazy_modules import LazyModule, lazy_imports


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The name of a module that says in a list that it was loaded."""
    (tmp_path / "slow_one.py").write_text("import sys\nLOADED = True\n\n\ndef double(x):\n    return 2 * x\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "slow_one"
    sys.modules.pop("slow_one", None)


def test_a_module_is_loaded_once_something_of_it_is_asked_for(module):
    with lazy_imports({module: ()}):
        imported = import_module(module)
        assert isinstance(imported, LazyModule)
    assert module not in sys.modules
    assert imported.double(4) == 8
    assert sys.modules[module].LOADED
    assert not isinstance(import_module(module), LazyModule)


def test_asking_within_the_context_loads_it_for_all(module):
    with lazy_imports({module: ()}):
        assert import_module(module).LOADED
        assert not isinstance(sys.modules[module], LazyModule)
    assert sys.modules[module].LOADED


def test_a_function_that_is_taken_early_loads_it_when_it_is_called(module):
    with lazy_imports({module: ("double",)}):
        double = import_module(module).double
    assert module not in sys.modules
    assert double(4) == 8
    assert module in sys.modules


def test_what_a_module_lacks_is_no_attribute_of_it(module):
    with lazy_imports({module: ()}):
        imported = import_module(module)
    with pytest.raises(AttributeError, match="nothing_there"):
        _ = imported.nothing_there


def test_a_module_that_is_there_stays(module):
    there = import_module(module)
    with lazy_imports({module: ()}):
        assert import_module(module) is there
    assert sys.modules[module] is there


def run_python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True).stdout


def test_sqlalchemy_is_loaded_without_what_it_does_not_use():
    code = (
        "import sys; from scandock.catalog.sqlalchemy_loading import load_sqlalchemy; load_sqlalchemy(sqlite=True)\n"
        "from sqlalchemy import create_engine, select\n"
        "with create_engine('sqlite://').connect() as c: print(c.execute(select(7)).scalar_one())\n"
        "print(*{'asyncio', 'importlib.metadata', 'email', 'csv'} & set(sys.modules))\n"
    )
    assert run_python(code).split() == ["7"]


def test_sqlalchemy_so_loaded_has_all_of_it():
    code = (
        "import importlib; from scandock.catalog.sqlalchemy_loading import load_sqlalchemy\n"
        "load_sqlalchemy(sqlite=True)\n"
        "from sqlalchemy.util.concurrency import iscoroutine, is_exit_exception\n"
        "from sqlalchemy import create_engine; from sqlalchemy.dialects import registry\n"
        "async def f(): pass\n"
        "c = f(); print(iscoroutine(c), iscoroutine(3), is_exit_exception(ValueError())); c.close()\n"
        "print(importlib.metadata.version('sqlalchemy') > '2', registry.load('sqlite.aiosqlite').is_async)\n"
        "import asyncio, email; print(asyncio.run(asyncio.sleep(0, 'ran')))\n"
    )
    assert run_python(code).split() == ["True", "False", "False", "True", "True", "ran"]
