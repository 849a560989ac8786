"""The house rules, held: the code against each, and each against code that breaks it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import house
import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = house.modules(ROOT / "src" / "goscheds")

MODULE_RULES = (
    house.long_modules,
    house.long_functions,
    house.relative_imports,
    house.foreign_drivers,
    house.showing,
    house.layers,
    house.unsafe,
    house.stubs,
    house.unexplained_exceptions,
)
TEXT_RULES = (house.leftovers, house.registries, house.machine_paths)

HEAVY = {*house.DRIVERS, "rich", "pytest", "hypothesis", "multiprocessing", "unittest"}
"""What importing goscheds, or asking for help, has no use for."""


@pytest.mark.parametrize("rule", MODULE_RULES, ids=lambda rule: rule.__name__)
def test_every_module_keeps(rule):
    assert [complaint for module in MODULES.values() for complaint in rule(module)] == []


@pytest.mark.parametrize("store", house.built_in_stores(MODULES["goscheds.plugins"]))
def test_a_store_is_small(store):
    stores = house.built_in_stores(MODULES["goscheds.plugins"])
    assert list(house.large_stores(MODULES, store, stores)) == []


@pytest.mark.parametrize("rule", TEXT_RULES, ids=lambda rule: rule.__name__)
def test_every_file_keeps(rule):
    assert [complaint for path, text in _tracked() for complaint in rule(path, text)] == []


@pytest.mark.parametrize("code", ["import goscheds", "from goscheds import *"])
def test_importing_goscheds_imports_nothing_heavy(code):
    assert _imported_by(code) & (HEAVY | {"click"}) == set()


def test_asking_for_help_imports_nothing_heavy():
    ask = "import sys; sys.argv = ['goscheds', '--help']\ntry: main()\nexcept SystemExit: pass"
    assert _imported_by(f"from goscheds.cli import main\n{ask}") & (HEAVY | {"asyncio", "msgspec"}) == set()


@pytest.mark.parametrize(
    ("rule", "name", "bad"),
    [
        (house.long_modules, "goscheds.job", "x = 1\n" * 300),
        (house.long_functions, "goscheds.job", "def f():\n" + "    x = 1\n" * 39),
        (house.long_functions, "goscheds.job", "class C:\n    async def f(self):\n" + "        x = 1\n" * 39),
        (house.relative_imports, "goscheds.job", "from .errors import GoschedsError"),
        (house.foreign_drivers, "goscheds.worker", "def f():\n    import redis.client"),
        (house.foreign_drivers, "goscheds.worker", "from sqlite3 import connect"),
        (house.showing, "goscheds.worker", "from rich.table import Table"),
        (house.layers, "goscheds.record", "from goscheds.clock import Clock"),
        (house.layers, "goscheds.store", "from goscheds.errors import StoreError"),
        (house.layers, "goscheds.errors", "from goscheds import record"),
        (house.layers, "goscheds.worker", "def f():\n    from goscheds.backends.memory import connect"),
        (house.layers, "goscheds.contract.push", "from goscheds.backends.redis import connect"),
        (house.layers, "goscheds.backends.redis.store", "from goscheds.retry import Retry"),
        (house.unsafe, "goscheds.codec", "import pickle"),
        (house.unsafe, "goscheds.codec", "from marshal import loads"),
        (house.unsafe, "goscheds.codec", "x = eval('1')"),
        (house.unsafe, "goscheds.codec", "exec('x = 1')"),
        (house.stubs, "goscheds.codec", "raise NotImplementedError('later')"),
        (house.unexplained_exceptions, "goscheds.codec", "x = 1  # noqa"),
        (house.unexplained_exceptions, "goscheds.codec", "x = 1  # noqa: E501"),
    ],
)
def test_a_module_rule_can_fail(rule, name, bad):
    assert list(rule(house.Module(name, bad)))


@pytest.mark.parametrize(
    ("rule", "name", "good"),
    [
        (house.long_modules, "goscheds.job", "x = 1\n" * 299),
        (house.long_functions, "goscheds.job", 'def f():\n    """' + "Told.\n" * 9 + '    """\n' + "    x = 1\n" * 38),
        (house.foreign_drivers, "goscheds.backends.sql.sqlite", "import sqlite3"),
        (house.foreign_drivers, "goscheds.worker", "import redistribute"),
        (house.showing, "goscheds.cli.tables", "from rich.table import Table"),
        (house.layers, "goscheds.record", "from goscheds.errors import GoschedsError"),
        (house.layers, "goscheds.store", "from goscheds.record import Record, State"),
        (house.layers, "goscheds.plugins", "def f():\n    from goscheds.backends.memory import connect"),
        (house.layers, "goscheds.contract.model", "from goscheds.backends.memory import MemoryStore"),
        (house.layers, "goscheds.backends.redis.store", "from goscheds.record import Record"),
        (house.unsafe, "goscheds.codec", "import json\n\nconnection.eval('return 1', 0)"),
        (house.unexplained_exceptions, "goscheds.codec", "import x  # noqa: PLC0415 - imported when asked for"),
    ],
)
def test_a_module_rule_lets_good_code_pass(rule, name, good):
    assert list(rule(house.Module(name, good))) == []


@pytest.mark.parametrize(
    ("rule", "bad"),
    [
        (house.leftovers, "x = 1  # TO" + "DO: later"),
        (house.leftovers, "<" * 7 + " HEAD"),
        (house.registries, "pip install -i https://pypi." + "org/simple goscheds"),
        (house.registries, "https://files.pythonhosted." + "org/packages/x.whl"),
        (house.machine_paths, "cd /ro" + "ot/goscheds"),
        (house.machine_paths, "PYTHON=/ho" + "me/me/.pyenv/bin/python"),
    ],
)
def test_a_text_rule_can_fail(rule, bad):
    assert list(rule("README.md", bad))


def test_a_store_is_counted_with_all_that_it_imports():
    rooms = {
        "goscheds.backends.big": "from goscheds.backends.big.rows import ROWS\n" + "x = 1\n" * 200,
        "goscheds.backends.big.rows": "y = 1\n" * 200,
        "goscheds.backends.other": "z = 1\n" * 200,
    }
    broken = {name: house.Module(name, source) for name, source in rooms.items()}
    assert list(house.large_stores(broken, "goscheds.backends.big"))
    assert list(house.large_stores(broken, "goscheds.backends.other")) == []


def test_what_stores_share_is_counted_once():
    rooms = {
        "goscheds.backends.sql.one": "from goscheds.backends.sql.rows import ROWS\n" + "x = 1\n" * 300,
        "goscheds.backends.sql.two": "from goscheds.backends.sql.rows import ROWS\n" + "x = 1\n" * 300,
        "goscheds.backends.sql.rows": "y = 1\n" * 300,
    }
    stores = ["goscheds.backends.sql.one", "goscheds.backends.sql.two"]
    family = {name: house.Module(name, source) for name, source in rooms.items()}
    assert list(house.large_stores(family, stores[0], stores)) == []
    family["goscheds.backends.sql.rows"] = house.Module("goscheds.backends.sql.rows", "y = 1\n" * 400)
    assert list(house.large_stores(family, stores[0], stores))


def test_a_line_of_code_is_none_that_is_blank_or_told():
    assert house.code_lines('"""Told."""\n\n# why\nx = """\none\n"""\n\ndef f():\n    """Told."""\n    return x\n') == 5


def test_an_import_is_seen_where_it_happens():
    assert "sqlite3" in _imported_by("import sqlite3")


def _imported_by(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has after the code."""
    told = f"{code}\nimport sys; print(*sorted({{name.partition('.')[0] for name in sys.modules}}), file=sys.stderr)"
    unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    ran = subprocess.run([sys.executable, "-I", "-c", told], capture_output=True, text=True, check=True, env=unmeasured)
    return set(ran.stderr.split())


def _tracked() -> list[tuple[str, str]]:
    """The text files that belong to the project, by path."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    paths = [Path(name.decode()) for name in listed.stdout.split(b"\0") if name]
    assert Path("pyproject.toml") in paths
    return [(str(path), (ROOT / path).read_text("utf-8", "replace")) for path in paths if (ROOT / path).is_file()]
