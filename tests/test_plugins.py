"""Stores by URL, plugins that disagree, hooks that fail; and a third party's store, installed from its wheel."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from goscheds.backends.memory import MemoryStore
from goscheds.errors import ConfigError, PluginConflict, UnknownScheme
from goscheds.extras import missing_driver
from goscheds.plugins import Plugins, hookimpl, open_store, plugins

ROOT = Path(__file__).resolve().parent.parent
TOY = ROOT / "tests" / "toy_store"


class Brings:
    """A plugin with stores."""

    def __init__(self, *schemes):
        self.schemes = schemes

    @hookimpl
    def goscheds_stores(self):
        return dict.fromkeys(self.schemes, lambda _url, _namespace: MemoryStore())


class Listens:
    """A plugin that hears of jobs, and may fail at it."""

    def __init__(self, error=None):
        self.error = error
        self.heard = []

    @hookimpl
    def goscheds_job_lost(self, id, fence):
        self.heard.append((id, fence))
        if self.error:
            raise self.error


@pytest.fixture
def register():
    """Registers plugins for this test alone."""
    names = []

    def register(plugin, name):
        plugins.register(plugin, name)
        names.append(name)

    yield register
    for name in names:
        plugins.unregister(name)


def test_a_url_picks_its_store():
    assert isinstance(open_store("memory://"), MemoryStore)


def test_a_plugins_scheme_is_served_like_a_built_in_one(register):
    register(Brings("mine"), "my-plugin")
    assert isinstance(open_store("mine://somewhere"), MemoryStore)


def test_an_unknown_scheme_lists_what_is_installed(register):
    register(Brings("mine"), "my-plugin")
    with pytest.raises(UnknownScheme, match="No installed store serves mongodb://") as caught:
        open_store("mongodb://somebody:hunter2@localhost/jobs")
    said = str(caught.value)
    for scheme in ("memory", "mine", "postgresql", "redis", "rediss", "sqlite", "unix", "valkey"):
        assert f"{scheme}://" in said
    assert "package" in said
    assert "hunter2" not in said
    assert "Did you mean" not in said


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("redsi", "redis"), ("sqllite", "sqlite"), ("postgres", "postgresql"), ("mem", "memory"), ("sqlite3", "sqlite")],
)
def test_a_scheme_that_is_almost_right_is_put_right(typed, meant):
    with pytest.raises(UnknownScheme, match=f"Did you mean {meant}://?"):
        open_store(f"{typed}://localhost")


@pytest.mark.parametrize("url", ["jobs.db", "localhost:6379", "", "redis:/localhost"])
def test_a_url_without_a_scheme_is_told_what_one_looks_like(url):
    with pytest.raises(ConfigError, match=r"is not a store URL: it has no scheme\. Examples: sqlite:///jobs\.db"):
        open_store(url)


def test_a_namespace_that_not_every_store_can_carry_is_refused():
    with pytest.raises(ConfigError, match="namespace 'a b'"):
        open_store("memory://", "a b")


def test_two_plugins_for_one_scheme_are_an_error_that_names_both(register):
    register(Brings("mine"), "first-plugin")
    register(Brings("mine"), "second-plugin")
    with pytest.raises(PluginConflict, match="Two plugins serve mine://") as caught:
        open_store("mine://somewhere")
    assert "'first-plugin'" in str(caught.value)
    assert "'second-plugin'" in str(caught.value)


def test_a_plugin_can_not_take_over_a_built_in_scheme(register):
    register(Brings("redis"), "impostor")
    with pytest.raises(PluginConflict, match="'impostor'"):
        open_store("redis://localhost")


def test_a_missing_driver_is_an_error_that_says_what_to_install():
    error = missing_driver("rediss", ImportError("no", name="redis"))
    assert isinstance(error, ConfigError)
    assert "pip install 'goscheds[redis]'" in str(error)


def test_a_hook_that_raises_hurts_neither_the_job_nor_the_other_plugins(caplog):
    installed, good, bad = Plugins(), Listens(), Listens(RuntimeError("the plugin's own"))
    for name, plugin in (("one", bad), ("two", good), ("three", bad)):
        installed.register(plugin if name != "three" else Listens(ValueError("another's")), name)
    installed.notify("goscheds_job_lost", id="7", name="send", queue="mail", fence=3)
    assert good.heard == bad.heard == [("7", 3)]
    assert "'one' failed in goscheds_job_lost" in caplog.text
    assert "the plugin's own" in caplog.text
    assert "'three' failed" in caplog.text


def test_an_event_is_put_together_only_where_somebody_listens():
    installed = Plugins()
    assert not installed.listens("goscheds_job_lost")
    installed.register(Listens(), "listener")
    assert installed.listens("goscheds_job_lost")
    installed.unregister("listener")
    assert not installed.listens("goscheds_job_lost")


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """A fresh virtual environment with the wheels of goscheds and of a third party's store; gives its Python.

    No network is needed: the wheels are built without isolation, by this environment's hatchling, and installed without
    their dependencies, which a .pth file finds in this environment. Python reads no .pth file inside a folder that it
    came to by one, so that this environment's editable goscheds is not found with them.
    """
    folder = tmp_path_factory.mktemp("elsewhere")
    for sources in (ROOT, TOY):
        _run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder / "wheels", sources])
    wheels = sorted((folder / "wheels").glob("*.whl"))
    venv.create(folder / "venv", symlinks=True)
    python = folder / "venv" / "bin" / "python"
    _run([sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", *wheels])
    purelib = Path(_run([python, "-I", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]).strip())
    (purelib / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n{sysconfig.get_path('platlib')}\n")
    return python


@pytest.mark.slow
def test_a_third_partys_store_is_found_by_its_url_where_it_is_installed(elsewhere):
    code = """
        import goscheds, goscheds_toystore
        from goscheds import Scheduler, Worker
        from goscheds.plugins import open_store, plugins

        store = open_store("toy://shelf", "shop")
        assert type(store) is goscheds_toystore.ToyStore, store
        assert (store.url, store.namespace) == ("toy://shelf", "shop")
        assert plugins.stores()["toy"][0] == "toystore"

        scheduler = Scheduler("toy://shelf", namespace="shop")

        @scheduler.job()
        def double(number: int) -> int:
            return 2 * number

        id = double.push(number=21)
        Worker(scheduler).drain()
        assert scheduler.result(id, timeout=0) == 42
        print(goscheds.__file__, goscheds_toystore.__file__)
    """
    lines = [line.removeprefix("        ") for line in code.splitlines()]
    for file in _run([elsewhere, "-I", "-c", "\n".join(lines)]).split():
        assert Path(file).is_relative_to(elsewhere.parent.parent)


@pytest.mark.slow
def test_the_wheel_carries_the_law_and_a_third_party_binds_it_in_five_lines(elsewhere, tmp_path):
    binding = shutil.copy(TOY / "law.py", tmp_path)  # away from this project's conftest and configuration
    assert len([line for line in Path(binding).read_text().splitlines() if line and not line.startswith('"')]) <= 5
    ran = _run([elsewhere, "-I", "-m", "pytest", "-q", "-m", "not slow", binding], cwd=tmp_path)
    assert " passed" in ran.splitlines()[-1]


@pytest.mark.slow
def test_the_wheel_has_every_file_of_the_package_and_no_other(elsewhere):
    wheel = next((elsewhere.parents[2] / "wheels").glob("goscheds-*.whl"))
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    tracked = _run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "src/goscheds"], cwd=ROOT).split()
    assert packed == {name.removeprefix("src/") for name in tracked}


def _run(command: Sequence[str | Path], **options: object) -> str:
    """What a program printed. It sees nothing of the test run's coverage, and shows all that it said if it fails."""
    unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    ran = subprocess.run(command, capture_output=True, text=True, env=unmeasured, check=False, **options)
    assert ran.returncode == 0, f"{command}\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout
