"""Several workers under one parent: real processes, real signals, and what the logs, the pipes and the store say."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from kit import DEADLINE, SECOND, Tampered, ends, heard, scheduled, until
from terminal import application, process

from goscheds import Job, Retry, Scheduler, State, Worker
from goscheds import worker as slots
from goscheds.cli import worker as cli
from goscheds.errors import ConfigError
from goscheds.supervisor import line
from goscheds.supervisor.child import Child, ending
from goscheds.supervisor.health import STALE, Condition, HealthFile, HealthServer, open_health
from goscheds.supervisor.line import reporting
from goscheds.supervisor.parent import Limits
from goscheds.supervisor.seat import HEALTHY, LONGEST, Seat, backoff
from goscheds.vitals import Vitals, resident

APP = """
    import os
    import signal
    import sys
    import time
    from pathlib import Path

    from goscheds import Context, Retry, Scheduler

    scheduler = Scheduler("sqlite:///jobs.db")
    kept = []

    @scheduler.job
    def sleep(seconds: float, context: Context) -> str:
        Path(f"began-{context.job.id}-{context.fence}").write_text(str(os.getpid()))
        time.sleep(seconds if context.fence == 1 else 0)
        return f"{os.getpid()}"

    @scheduler.job
    def die(status: int) -> None:
        os._exit(status)

    @scheduler.job
    def take_time(seconds: float) -> None:
        time.sleep(seconds)

    @scheduler.job
    def run_out_of_memory(seconds: float) -> None:
        time.sleep(seconds)
        os.kill(os.getpid(), signal.SIGKILL)  # as the kernel does it to who takes too much

    @scheduler.job
    def hoard(seconds: float) -> None:
        time.sleep(seconds)
        while True:
            kept.append(b"x" * 2**20)

    @scheduler.job
    def eat(megabytes: int) -> None:
        kept.append(b"x" * megabytes * 2**20)

    @scheduler.job
    def read() -> str:
        return sys.stdin.read()
"""
SERVES = re.compile(r"Child (\d+) \(pid (\d+)\) serves")
AGAIN = 3
"""The fence of a job that runs again after its first worker died; who took it back had the second."""
VITALS = Vitals("w", 1, 10.0, 0.5, 0, 0, stopping=False)


class Supervised:
    """A supervisor's process, and what it and its children log."""

    def __init__(self, running: subprocess.Popen[str]) -> None:
        self.running = running
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        self.lines.extend(self.running.stderr)  # one by one, as they come

    @property
    def log(self) -> str:
        return "".join(self.lines)

    def says(self, pattern: str, times: int = 1) -> re.Match[str]:
        """Wait for the last of so many matches in the log."""
        found = until(
            lambda: (all := list(re.finditer(pattern, self.log)))[times - 1 :] and all, f"{pattern} {times} times"
        )
        return found[times - 1]

    def served(self) -> list[int]:
        """The pid of every child that ever served, in order."""
        return [int(pid) for _, pid in SERVES.findall(self.log)]

    def serves(self, children: int) -> list[int]:
        """Wait until so many children have come to serve."""
        self.says(SERVES.pattern, children)
        return self.served()

    def close(self) -> None:
        self._reader.join(DEADLINE)
        self.running.stderr.close()

    def ended(self, status: int = 0) -> str:
        """Wait until it has ended; everything that it logged."""
        assert self.running.wait(DEADLINE) == status, self.log
        self._reader.join(DEADLINE)
        assert "Traceback" not in self.log
        return self.log


@pytest.fixture
def app(tmp_path):
    return application(APP, tmp_path)


@pytest.fixture
def scheduler(tmp_path):
    with Scheduler(f"sqlite:///{tmp_path}/jobs.db") as scheduler:
        yield scheduler


@pytest.fixture
def little_memory():
    """A control group with so little memory that the kernel kills in it who takes more; not everybody may make one."""
    first = Path("/sys/fs/cgroup/memory").is_dir()  # version 1
    group = Path("/sys/fs/cgroup", "memory" if first else "", f"goscheds-{os.getpid()}")
    try:
        group.mkdir()
        (group / ("memory.limit_in_bytes" if first else "memory.max")).write_text(str(192 * 2**20))
        with suppress(FileNotFoundError):  # where nothing is swapped
            swap = ("memory.memsw.limit_in_bytes", str(192 * 2**20)) if first else ("memory.swap.max", "0")
            (group / swap[0]).write_text(swap[1])
    except OSError as error:
        with suppress(OSError):
            group.rmdir()
        pytest.skip(f"no control group with a limit of its own can be made here ({error})")
    yield group
    until(lambda: not (group / "cgroup.procs").read_text())
    group.rmdir()


def killed_by_kernel(group: Path) -> int:
    """How many processes of a control group the kernel has killed because they had no memory left."""
    told = next(file for name in ("memory.oom_control", "memory.events") if (file := group / name).exists())
    return int(dict(line.split() for line in told.read_text().splitlines())["oom_kill"])


@contextmanager
def supervising(app: str, *options: str, cwd: Path, group: Path | None = None):
    command = [sys.executable, "-m", "goscheds", "worker", app, *options]
    if group:
        command = ["sh", "-c", 'echo $$ >"$0" && exec "$@"', str(group / "cgroup.procs"), *command]
    running = subprocess.Popen(command, cwd=cwd, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                               process_group=0)  # fmt: skip
    supervised = Supervised(running)
    try:
        yield supervised
    finally:
        running.kill()
        running.wait()
        for pid in re.findall(r"\(pid (\d+)\) starts", supervised.log):  # its own end would do, unless it is broken
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        supervised.close()


def push(scheduler: Scheduler, seconds: float = 0, name: str = "sleep") -> str:
    return scheduler.push(Job(name, {"seconds": seconds}))


def begun(tmp_path: Path, id: str, fence: int = 1) -> int:
    """Wait until a job has begun; the process that runs it."""
    mark = tmp_path / f"began-{id}-{fence}"
    return int(until(lambda: mark.exists() and mark.read_text(), f"{id} to begin"))


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has buried counts."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


class TestDeath:
    @pytest.mark.slow
    @pytest.mark.parametrize("processes", [1, 2])
    def test_a_killed_child_s_jobs_run_again_long_before_its_lease_ends(self, tmp_path, app, scheduler, processes):
        with supervising(app, "--processes", str(processes), "--lease", "60s", cwd=tmp_path) as supervised:
            supervised.serves(processes)
            id = push(scheduler, 60)
            victim = begun(tmp_path, id)
            os.kill(victim, signal.SIGKILL)
            assert begun(tmp_path, id, AGAIN) != victim
            ends(scheduler, id)
            supervised.says(rf"\(pid {victim}\) was killed by SIGKILL after .* s\. The next one starts now\.")
            supervised.says(rf"\(pid {victim}\): the 1 job\(s\) it held were taken back by Child \d")
            assert len(supervised.serves(processes + 1)) == processes + 1
            assert scheduler.get(id).crashes == 1

    @pytest.mark.slow
    def test_poison_ends_dead_and_takes_nothing_with_it(self, tmp_path, app, scheduler):
        with supervising(app, "--processes", "2", "--lease", "60s", cwd=tmp_path) as supervised:
            supervised.serves(2)
            poison = scheduler.push(Job("die", {"status": 7}))
            ends(scheduler, poison, State.DEAD)
            supervised.says("exited with status 7 after", 3)
            ends(scheduler, push(scheduler))
            assert scheduler.get(poison).crashes == 3

    @pytest.mark.slow
    def test_whoever_runs_beside_poison_loses_time_and_nothing_else(self, tmp_path, app, scheduler):
        with supervising(app, "--processes", "1", "--lease", "60s", cwd=tmp_path) as supervised:
            supervised.serves(1)
            poison = Job("run_out_of_memory", {"seconds": 0.3})
            neighbours = [Job("take_time", {"seconds": 0.6}) for _ in range(3)]  # none is done before it dies
            scheduler.push_many([poison, *neighbours])
            ends(scheduler, poison.id, State.DEAD)
            assert "died of it" in scheduler.get(poison.id).error
            for neighbour in neighbours:
                ends(scheduler, neighbour.id)
                info = scheduler.get(neighbour.id)
                assert (info.attempts, info.crashes) == (0, 2), "it died twice beside the poison, and never failed"
            supervised.says("it runs alone in this one", 2)

    @pytest.mark.slow
    def test_running_out_of_memory_is_a_crash_and_kills_who_did_it(self, tmp_path, app, scheduler, little_memory):
        with supervising(app, "--processes", "1", "--lease", "60s", cwd=tmp_path, group=little_memory) as supervised:
            supervised.serves(1)
            poison = Job("hoard", {"seconds": 0.1}, retry=Retry(max_crashes=2))
            neighbours = [Job("take_time", {"seconds": 0.7}) for _ in range(3)]  # none is done before it dies
            scheduler.push_many([poison, *neighbours])
            ends(scheduler, poison.id, State.DEAD)
            assert scheduler.get(poison.id).error == "It ran 2 times in a worker that died of it."
            assert (scheduler.get(poison.id).attempts, killed_by_kernel(little_memory)) == (0, 2)
            supervised.says("was killed by SIGKILL after", 2)
            for neighbour in neighbours:
                ends(scheduler, neighbour.id)
                assert scheduler.get(neighbour.id).attempts == 0, "it crashed beside the poison, and never failed"

    @pytest.mark.slow
    def test_a_child_that_is_stuck_is_killed_and_replaced(self, tmp_path, app, scheduler):
        with supervising(app, "--processes", "2", "--lease", "1s", cwd=tmp_path) as supervised:
            supervised.serves(2)
            id = push(scheduler, 60)
            victim = begun(tmp_path, id)
            os.kill(victim, signal.SIGSTOP)
            supervised.says(rf"\(pid {victim}\) is killed: it said nothing for 3 s")
            supervised.says(rf"\(pid {victim}\) was killed by SIGKILL after .*, as it said nothing for 3 s")
            begun(tmp_path, id, AGAIN)
            supervised.serves(3)

    @pytest.mark.slow
    def test_a_parent_that_was_stopped_itself_kills_nobody_for_it(self, tmp_path, app):
        with supervising(app, "--processes", "1", "--lease", "1s", "--log-level", "debug", cwd=tmp_path) as supervised:
            [child] = supervised.serves(1)
            supervised.running.send_signal(signal.SIGSTOP)
            with suppress(subprocess.TimeoutExpired):
                supervised.running.wait(3.5)  # longer than it has patience
            supervised.running.send_signal(signal.SIGCONT)
            supervised.running.send_signal(signal.SIGTERM)
            assert f"(pid {child}) exited with status 0" in supervised.ended()

    @pytest.mark.slow
    def test_where_no_worker_can_begin_it_ends_with_the_error_said_once(self, tmp_path, app):
        with supervising("nosuch:scheduler", "--processes", "3", cwd=tmp_path) as supervised:
            log = supervised.ended(1)
        assert log.count("There is no module 'nosuch'") == 1
        assert "No worker could begin" in log

    def test_restarts_begin_at_once_and_then_take_longer(self):
        assert [backoff(failures) for failures in (0, 1, 2, 3, 4)] == [0, 0, 0.5, 1, 2]
        assert backoff(9) == backoff(1_000_000) == LONGEST

    def test_a_death_after_long_service_is_a_first_one_again(self):
        seat = Seat(1, [])
        for served, waits in [(1.0, False), (1.0, True), (1.0, True), (HEALTHY + 1, False), (1.0, True)]:
            seat.child = SimpleNamespace(vitals=VITALS, started=100 - served)
            seat.vacate(seat.child, now=100)
            assert (seat.free_at > 100, seat.child) == (waits, None)
            assert seat.free_at <= 100 + LONGEST

    def test_an_heir_takes_the_seat_of_who_died_before_it_served(self):
        seat, heir = Seat(1, []), SimpleNamespace(vitals=None)
        seat.child, seat.heir, seat.worn = SimpleNamespace(vitals=None, started=99), heir, "worn"
        seat.vacate(seat.child, now=100)
        assert (seat.child, seat.heir, seat.worn) == (heir, None, "")

    @pytest.mark.parametrize(
        ("status", "words"),
        [(3, "exited with status 3"), (-9, "was killed by SIGKILL"), (-63, "was killed by signal 63")],
    )
    def test_an_end_is_told_in_words(self, status, words):
        assert ending(status) == words


class TestEnd:
    @pytest.mark.slow
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_signal_drains_every_child(self, tmp_path, app, scheduler, number):
        with supervising(app, "--processes", "2", cwd=tmp_path) as supervised:
            children = supervised.serves(2)
            jobs = [push(scheduler, 1) for _ in range(10)]
            for id in jobs:
                begun(tmp_path, id)
            supervised.running.send_signal(number)
            log = supervised.ended()
        assert {scheduler.get(id).state for id in jobs} == {State.DONE}
        assert {scheduler.get(id).crashes for id in jobs} == {0}
        assert log.count("exited with status 0") == 2
        assert all(map(gone, children))
        assert scheduler.workers() == []

    @pytest.mark.slow
    def test_a_signal_to_the_whole_group_is_one_signal(self, tmp_path, app, scheduler):
        with supervising(app, "--processes", "2", cwd=tmp_path) as supervised:
            supervised.serves(2)
            id = push(scheduler, 1)
            begun(tmp_path, id)
            os.killpg(supervised.running.pid, signal.SIGINT)
            assert "at once" not in supervised.ended()
        assert scheduler.get(id).state is State.DONE

    @pytest.mark.slow
    def test_a_second_signal_leaves_at_once_and_gives_back_what_runs(self, tmp_path, app, scheduler):
        with supervising(app, "--processes", "2", cwd=tmp_path) as supervised:
            supervised.serves(2)
            id = push(scheduler, 60)
            begun(tmp_path, id)
            supervised.running.send_signal(signal.SIGTERM)
            supervised.says("SIGTERM: up to 30 s")
            supervised.running.send_signal(signal.SIGTERM)
            log = supervised.ended()
        assert "A second signal, SIGTERM: leaving at once." in log
        info = scheduler.get(id)
        assert (info.state, info.attempts, info.crashes) == (State.READY, 0, 0)

    @pytest.mark.slow
    def test_a_child_that_does_not_leave_is_killed_at_the_end(self, tmp_path, app, scheduler):
        with supervising(app, "--processes", "1", "--lease", "60s", cwd=tmp_path) as supervised:
            [child] = supervised.serves(1)
            os.kill(child, signal.SIGSTOP)
            for _ in range(2):
                supervised.running.send_signal(signal.SIGTERM)
                supervised.says("SIGTERM: up to")
            assert f"(pid {child}) is killed: it did not leave in time" in supervised.ended()

    @pytest.mark.slow
    def test_children_whose_parent_was_killed_finish_and_end(self, tmp_path, app, scheduler):
        with supervising(app, "--processes", "2", cwd=tmp_path) as supervised:
            children = supervised.serves(2)
            id = push(scheduler, 1)
            begun(tmp_path, id)
            supervised.running.kill()
            until(lambda: all(map(gone, children)), "no orphans")
            ends(scheduler, id)
            assert scheduler.workers() == []
            supervised.says("its supervisor is gone; it stops", 2)

    @pytest.mark.slow
    def test_a_stop_while_a_child_starts_does_not_wait_for_it(self, tmp_path):
        slow = application("import time\nprint('importing', flush=True)\ntime.sleep(60)", tmp_path)
        with supervising(slow, "--processes", "2", cwd=tmp_path) as supervised:
            supervised.says("starts")
            supervised.running.send_signal(signal.SIGTERM)
            assert "No worker could begin" not in supervised.ended()


class TestRenewal:
    @pytest.mark.slow
    def test_a_rolling_restart_misses_no_beat(self, tmp_path, app, scheduler):
        with supervising(app, "--processes", "2", cwd=tmp_path) as supervised:
            old = supervised.serves(2)
            running = [push(scheduler, 2) for _ in range(10)]  # more than one child has slots for
            for id in running:
                begun(tmp_path, id)
            supervised.running.send_signal(signal.SIGHUP)
            supervised.says("drains")
            ends(scheduler, push(scheduler))
            new = supervised.serves(4)[2:]
            supervised.says("exited with status 0", 2)
            ends(scheduler, push(scheduler))
            assert not set(old) & set(new)
            assert {scheduler.result(id) for id in running} == {str(pid) for pid in old}
            assert {scheduler.get(id).crashes for id in running} == {0}
            events = re.findall(r"(serves as|exited with)", supervised.log)
            assert events == ["serves as"] * 3 + ["exited with", "serves as", "exited with"]  # one at a time, new first
            changes = [
                1 if event == "starts" else -1 for event in re.findall(r"(starts|exited)(?= with|\.)", supervised.log)
            ]
            assert max(itertools.accumulate(changes)) == 3

    @pytest.mark.slow
    def test_new_code_that_can_not_begin_leaves_the_old_at_work(self, tmp_path, app, scheduler):
        with supervising(app, "--processes", "2", cwd=tmp_path) as supervised:
            old = supervised.serves(2)
            (tmp_path / f"{app}.py").write_text("1 / 0")
            supervised.running.send_signal(signal.SIGHUP)
            supervised.says("did not come to serve: those at work go on")
            id = push(scheduler)
            ends(scheduler, id)
            assert supervised.served() == old
            assert "ZeroDivisionError" in supervised.log

    @pytest.mark.slow
    def test_after_so_many_jobs_a_child_is_replaced(self, tmp_path, app, scheduler):
        with supervising(app, "--max-jobs", "3", cwd=tmp_path) as supervised:
            [first] = supervised.serves(1)
            for _ in range(3):
                ends(scheduler, push(scheduler))
            supervised.says(rf"\(pid {first}\) is replaced: it has settled 3 jobs")
            supervised.says(rf"\(pid {first}\) exited with status 0")
            ends(scheduler, push(scheduler))
            assert supervised.served()[0] == first
            assert len(supervised.served()) == 2

    @pytest.mark.slow
    def test_a_child_that_takes_too_much_memory_is_replaced(self, tmp_path, app, scheduler):
        with supervising(app, "--processes", "2", "--max-memory", "200M", cwd=tmp_path) as supervised:
            supervised.serves(2)
            id = scheduler.push(Job("eat", {"megabytes": 200}))
            ends(scheduler, id)
            supervised.says(r"is replaced: it takes 2\d\dM of memory")
            supervised.says("exited with status 0")
            assert len(supervised.serves(3)) == 3
            assert scheduler.get(id).crashes == 0

    @pytest.mark.parametrize(
        ("limits", "passed"),
        [(Limits(), ""), (Limits(jobs=4), ""), (Limits(jobs=3), "it has settled 3 jobs"),
         (Limits(memory=64 << 20), ""), (Limits(memory=63 << 20), "it takes 64M of memory")],
    )  # fmt: skip
    def test_a_limit_is_passed_or_not(self, limits, passed):
        child = SimpleNamespace(vitals=Vitals("w", 1, 10.0, 0.0, 3, 64 << 20, stopping=False))
        assert limits.passed(child) == passed
        assert limits.passed(SimpleNamespace(vitals=None)) == ""

    def test_memory_is_what_is_there_now(self):
        before = resident()
        kept = b"x" * (64 << 20)
        assert before + (60 << 20) < resident() < before + (80 << 20)
        del kept


def asked(url: str) -> tuple[int, dict]:
    try:
        with urlopen(url, timeout=DEADLINE) as answer:  # noqa: S310 - our own
            return answer.status, json.load(answer)
    except HTTPError as error:
        with error:
            return error.code, json.load(error)


class TestHealth:
    @pytest.mark.slow
    @pytest.mark.parametrize("options", [[], ["--processes", "2"]])
    def test_it_is_ready_while_the_store_answers_and_live_all_the_while(self, tmp_path, app, scheduler, options):
        scheduler.counts()  # the file is there
        with supervising(app, *options, "--lease", "1s", "--health", "0", cwd=tmp_path) as supervised:
            url = supervised.says(r"(http://127\.0\.0\.1:\d+)/live")[1]
            until(lambda: asked(f"{url}/ready")[0] == 200, "ready")
            with closing(sqlite3.connect(tmp_path / "jobs.db", isolation_level=None)) as rude:
                rude.execute("BEGIN EXCLUSIVE")  # nobody else can write
                until(lambda: asked(f"{url}/ready")[0] == 503, "not ready")
                assert asked(f"{url}/live")[0] == 200
                rude.execute("ROLLBACK")
            _, about = until(lambda: (a := asked(f"{url}/ready"))[0] == 200 and a, "ready again")
            assert (about["ready"], len(about["workers"])) == (True, 2 if options else 1)
            assert asked(f"{url}/else")[0] == 404
            supervised.running.send_signal(signal.SIGTERM)
            supervised.ended()

    @pytest.mark.slow
    def test_a_file_tells_of_every_child_and_goes_with_the_supervisor(self, tmp_path, app):
        file = tmp_path / "health.json"
        with supervising(app, "--processes", "2", "--health", str(file), cwd=tmp_path) as supervised:
            children = supervised.serves(2)
            about = until(lambda: file.exists() and (a := json.loads(file.read_text()))["ready"] and a)
            assert {worker["pid"] for worker in about["workers"]} == set(children)
            until(lambda: json.loads(file.read_text())["at"] > about["at"], "a new word")
            supervised.running.send_signal(signal.SIGTERM)
            supervised.ended()
        assert not file.exists()

    def test_a_worker_reports_before_its_first_claim_and_to_its_end(self, monkeypatch):
        monkeypatch.setattr(line, "EVERY", 0.05)
        store, told = Tampered(), []
        with scheduled(store) as scheduler:
            worker = Worker(scheduler, lease=SECOND)
            claims_before = []

            def tell(vitals):
                claims_before.append(store.calls["claim"])
                told.append(vitals)

            thread = threading.Thread(target=lambda: worker.run(lambda crew: reporting(crew, tell)))
            thread.start()
            until(lambda: told)
            store.away = True
            until(lambda: not told[-1].ready, "not ready")
            store.away = False
            until(lambda: told[-1].ready, "ready again")
            worker.stop()
            thread.join(DEADLINE)
        assert claims_before[0] == 0
        assert told[0].ready
        assert told[0].worker == told[-1].worker

    @pytest.mark.parametrize(
        ("polled", "stopping", "ready"),
        [(0.0, False, True), (6.6, False, True), (6.7, False, False), (0.0, True, False)],
    )
    def test_ready_is_a_fresh_answer_of_the_store(self, polled, stopping, ready):
        assert Vitals("w", 1, 10.0, polled, 0, 0, stopping).ready is ready

    def test_live_means_that_somebody_spoke_of_late(self, monkeypatch):
        health = HealthServer("127.0.0.1", 0)
        with closing(health):
            assert [health.answer(path)[0] for path in ("/live", "/ready")] == [200, 503]  # on its way to begin
            health.tell(Condition(ready=True, workers=[VITALS]))
            assert [health.answer(path)[0] for path in ("/live", "/ready")] == [200, 200]
            now = time.monotonic()
            monkeypatch.setattr(time, "monotonic", lambda: now + STALE + 1)
            assert [health.answer(path)[0] for path in ("/live", "/ready")] == [503, 503]

    def test_a_place_is_a_port_or_a_file(self, tmp_path):
        for where in ("0", "127.0.0.1:0", "[::1]:0"):
            try:
                with closing(open_health(where)) as health:
                    assert isinstance(health, HealthServer)
            except ConfigError:
                assert where == "[::1]:0"  # a machine without IPv6
        assert isinstance(open_health(str(tmp_path / "file")), HealthFile)

    def test_a_place_that_can_not_be_had_is_an_error(self, tmp_path):
        with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ConfigError, match="can't be served at"):
            open_health(f"127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(ConfigError, match=r"can't be served at 127\.0\.0\.1:80808"):
            open_health("80808")
        with pytest.raises(ConfigError, match="there is no directory"):
            open_health(str(tmp_path / "nowhere" / "file"))

    def test_a_file_that_can_not_be_written_is_said_once(self, tmp_path, caplog):
        folder = tmp_path / "gone"
        folder.mkdir()
        with closing(open_health(str(folder / "file"))) as health:
            folder.rmdir()
            for _ in range(3):
                health.tell(Condition(ready=True, workers=[]))
        assert len(caplog.records) == 1


class TestLine:
    @pytest.mark.slow
    def test_a_handler_s_stdin_is_empty_and_not_the_line(self, tmp_path, app, scheduler):
        with supervising(app, "--processes", "1", cwd=tmp_path) as supervised:
            supervised.serves(1)
            id = scheduler.push(Job("read"))
            ends(scheduler, id)
            assert scheduler.result(id) == ""
            ends(scheduler, push(scheduler))

    @pytest.mark.slow
    def test_a_child_without_a_supervisor_is_refused(self, tmp_path, app):
        with process("worker", app, "--supervised", cwd=tmp_path) as child:
            _, log = child.communicate(timeout=DEADLINE)
        assert child.returncode == 1
        assert "use --processes" in log

    def test_a_child_of_a_later_version_may_say_more_and_nonsense_hurts_nobody(self):
        told = json.dumps({"vitals": {"worker": "w", "pid": 1, "lease": 2.0, "polled": 0.0, "settled": 3, "memory": 4,
                                      "stopping": False, "mood": "fine"}})  # fmt: skip
        code = "import os, sys; os.write(0, b'[1]\\n{\\n' + sys.argv[1].encode() + b'\\n'); os.read(0, 1)"
        child = Child("Child 1", [sys.executable, "-c", code, told])
        try:
            until(lambda: child.read(time.monotonic()) or child.vitals)
            assert child.vitals == Vitals("w", 1, 2.0, 0.0, 3, 4, stopping=False)
            assert child.ready(time.monotonic())
            assert not child.ready(time.monotonic() + 2)
        finally:
            child.kill("the test is over")
            until(lambda: child.poll() is not None)
            child.close()

    def test_a_store_that_fails_when_jobs_are_freed_costs_the_worker_nothing(self):
        store, freed = Tampered(), threading.Event()
        with scheduled(store) as scheduler:
            worker = Worker(scheduler)
            beside = SimpleNamespace(crew=None)

            @contextmanager
            def look(crew):
                beside.crew = crew
                freed.set()
                yield

            thread = threading.Thread(target=lambda: worker.run(look))
            thread.start()
            heard(freed)
            store.heartbeat("dead", 60, b"")
            scheduler.push(Job("nobody", queue="other"))
            [claim] = store.claim("other", "dead", 1, 0)
            assert beside.crew.free("dead") == 1
            assert beside.crew.free("dead") == 0
            assert scheduler.get(claim.record.id).crashes == 1
            worker.stop()
            thread.join(DEADLINE)

    def test_slots_are_as_many_by_option_as_by_default(self):
        assert cli.SLOTS == slots.SLOTS

    def test_a_supervisor_imports_nothing_that_runs_jobs(self):
        code = "import sys, goscheds.cli.worker; print(*sys.modules)"
        unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
        told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=unmeasured)
        modules = set(told.stdout.split())
        assert not modules & {"msgspec", "asyncio", "pluggy", "rich", "sqlite3", "http.server", "goscheds.worker",
                              "goscheds.scheduler", "goscheds.plugins"}  # fmt: skip
