"""Pushing, looking and steering from the command line, on a SQLite file."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta

import pytest
from kit import until
from terminal import USAGE, application, printed, refused, run

from goscheds import GiveUp, Job, Scheduler, Worker
from goscheds.cli import stores
from goscheds.cli.output import clean
from goscheds.contract.report import Finding, Rule, Verdict

JOB_KEYS = [
    "id", "name", "queue", "state", "priority", "unique_key", "execute_at", "timeout", "retry", "args", "pushed_at",
    "changed_at", "attempts", "crashes", "fence", "worker", "cancelling", "error", "trace", "result",
]  # fmt: skip


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("GOSCHEDS_STORE", "sqlite:///jobs.db")
    monkeypatch.delenv("GOSCHEDS_NAMESPACE", raising=False)
    return tmp_path


@pytest.fixture
def scheduler(here):
    """The same store, seen from Python."""
    with Scheduler("sqlite:///jobs.db") as scheduler:
        yield scheduler


def goscheds(*words: str) -> str:
    return printed(*words, "-s", "sqlite:///jobs.db")


def not_done(*words: str, status: int = 1) -> str:
    return refused(*words, "-s", "sqlite:///jobs.db", status=status)


def drain(scheduler: Scheduler, **handlers: object) -> None:
    worker = Worker(scheduler)
    for name, handler in handlers.items():
        worker.register_handler(name, handler)
    worker.drain()


def fails(_: Job) -> None:
    raise GiveUp("there is no way,\n\x1b[31mreally [bold]none")


class TestPush:
    def test_prints_the_id_alone_and_takes_json_or_text(self, scheduler):
        id = goscheds("push", "greet", "n=7", "name=Ann", 'code="7"', "list=[1, 2]", "none=null", "zip=007", "empty=")
        assert scheduler.get(id.rstrip("\n")).job.args == {
            "n": 7, "name": "Ann", "code": "7", "list": [1, 2], "none": None, "zip": "007", "empty": "",
        }  # fmt: skip

    def test_arguments_as_one_json_object(self, scheduler):
        id = goscheds("push", "greet", "--args", '{"n": 1, "m": 2}', "n=3").strip()
        assert scheduler.get(id).job.args == {"n": 3, "m": 2}

    def test_every_option(self, scheduler):
        goscheds("push", "greet", "--id", "a", "--queue", "mail", "--priority", "-5", "--unique-key", "k")
        job = scheduler.get("a").job
        assert (job.queue, job.priority, job.unique_key) == ("mail", -5, "k")

    def test_later(self, scheduler):
        before = scheduler.now()
        in_a_while = scheduler.get(goscheds("push", "greet", "--in", "10m").strip())
        assert timedelta(0) <= in_a_while.job.execute_at - before - timedelta(minutes=10) < timedelta(minutes=1)
        at = scheduler.get(goscheds("push", "greet", "--at", "2127-01-01T00:00:00+00:00").strip())
        assert at.job.execute_at == datetime(2127, 1, 1, tzinfo=UTC)
        assert at.state == "scheduled"

    def test_a_taken_unique_key_is_told_and_the_holder_printed(self, scheduler):
        holder = goscheds("push", "greet", "--unique-key", "k")
        second = run("push", "greet", "--unique-key", "k", "-s", "sqlite:///jobs.db")
        assert second.stdout == holder
        assert second.stderr.startswith("Not pushed: the live job")

    def test_a_handlers_own_options_are_its_jobs(self, here):
        name = application(SHOP, here)
        id = printed("push", "-s", name, "receipt", "order=1").strip()
        shown = json.loads(printed("show", "-s", name, id, "--json"))
        assert (shown["queue"], shown["priority"], shown["timeout"]) == ("mail", 5, 60.0)
        assert shown["retry"]["max_attempts"] == 2
        id = printed("push", "-s", name, "receipt", "order=1", "--queue", "slow").strip()
        assert json.loads(printed("show", "-s", name, id, "--json"))["queue"] == "slow"

    def test_arguments_that_do_not_fit_the_handler_are_refused(self, here):
        name = application(SHOP, here)
        assert "Expected `int`, got `str`" in refused("push", "-s", name, "receipt", "order=one")
        assert "missing a required argument: 'order'" in refused("push", "-s", name, "receipt")

    def test_an_unknown_handler_is_noted_with_the_closest(self, here):
        result = run("push", "-s", application(SHOP, here), "reciept", "order=1")
        assert result.exit_code == 0
        assert result.stderr == "Note: there is no handler 'reciept' in this module; there is 'receipt'.\n"

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["n"], "'n' is not key=value"),
            (["=7"], "'=7' is not key=value"),
            (["--args", "[1]"], "is not a JSON object"),
            (["--args", "{"], "is not a JSON object"),
            (["--in", "10"], "It needs a unit"),
            (["--at", "2027-01-01T09:30"], "has no time zone"),
            (["--in", "1s", "--at", "2027-01-01T00:00Z"], "exclude each other"),
            (["--priority", "200"], "200 is not in the range"),
        ],
    )
    def test_what_was_mistyped_is_said_and_nothing_stored(self, scheduler, words, said):
        assert said in not_done("push", "greet", *words, status=USAGE)
        assert scheduler.counts().jobs == {}

    def test_a_name_that_no_store_can_carry(self, here):
        assert "A job's name is ''" in not_done("push", "")


SHOP = """
    from datetime import timedelta
    from goscheds import Retry, Scheduler

    scheduler = Scheduler("sqlite:///jobs.db")

    @scheduler.job(queue="mail", priority=5, timeout=timedelta(minutes=1), retry=Retry(max_attempts=2))
    def receipt(order: int) -> str:
        return f"receipt {order}"
"""


class TestResult:
    def test_prints_json(self, scheduler):
        id = scheduler.push(Job("greet"))
        drain(scheduler, greet=lambda job: {"id": job.id})
        assert json.loads(goscheds("result", id)) == {"id": id}

    def test_waits_no_longer_than_told(self, scheduler):
        id = scheduler.push(Job("greet"))
        assert "ready" in not_done("result", id, "--timeout", "10ms")

    def test_a_failure_is_one_line(self, scheduler):
        id = scheduler.push(Job("fails"))
        drain(scheduler, fails=fails)
        assert "ended dead. Last error: there is no way, " in not_done("result", id)

    def test_an_unknown_job(self, here):
        assert "There is no job 'nope'" in not_done("result", "nope")


class TestJobs:
    def test_columns_are_aligned_and_nothing_steers_the_terminal(self, scheduler):
        id = scheduler.push(Job("fails"))
        drain(scheduler, fails=fails)
        heading, line = goscheds("jobs").splitlines()
        assert heading.split() == ["ID", "NAME", "QUEUE", "STATE", "WHEN", "FAILED", "ERROR"]
        assert line.split()[:4] == [id, "fails", "default", "dead"]
        assert line.endswith("there is no way,  [31mreally [bold]none")

    def test_narrowed(self, scheduler):
        a, b = scheduler.push(Job("a", queue="one")), scheduler.push(Job("b", queue="two"))
        c = scheduler.push_in(timedelta(hours=1), Job("a", queue="two"))
        assert goscheds("jobs", "--ids", "--name", "b").split() == [b]
        assert set(goscheds("jobs", "--ids", "--queue", "two").split()) == {b, c}
        assert set(goscheds("jobs", "--ids", "--state", "ready").split()) == {a, b}
        assert goscheds("jobs", "--ids", "--state", "scheduled", "--name", "a").split() == [c]

    def test_no_more_than_the_limit_and_that_there_are_more(self, scheduler):
        scheduler.push_many(Job("a") for _ in range(3))
        result = run("jobs", "--limit", "2", "--ids", "-s", "sqlite:///jobs.db")
        assert len(result.stdout.split()) == 2
        assert result.stderr == "The first 2; there are more: --limit.\n"
        assert run("jobs", "--limit", "3", "--ids", "-s", "sqlite:///jobs.db").stderr == ""

    def test_none_prints_nothing_into_a_pipe(self, here):
        result = run("jobs", "-s", "sqlite:///jobs.db")
        assert result.stdout == ""
        assert result.stderr == "There are no such jobs in namespace 'goscheds' of sqlite:///jobs.db.\n"

    def test_json_has_stable_keys(self, scheduler):
        id = scheduler.push(Job("grüße", {"n": 1}))
        (job,) = json.loads(goscheds("jobs", "--json"))
        assert list(job) == JOB_KEYS
        assert (job["id"], job["name"], job["args"], job["state"]) == (id, "grüße", {"n": 1}, "ready")
        assert datetime.fromisoformat(job["execute_at"]).utcoffset() == timedelta(0)

    def test_a_state_that_is_none(self, here):
        assert "is not one of 'scheduled', 'ready'" in not_done("jobs", "--state", "redy", status=USAGE)


class TestShow:
    def test_everything_with_the_error_and_the_traceback(self, scheduler):
        id = scheduler.push(Job("fails", {"n": 1}, unique_key="k", timeout=timedelta(minutes=2)))
        drain(scheduler, fails=fails)
        told = goscheds("show", id)
        facts = dict(line.split(maxsplit=1) for line in told.splitlines() if not line.startswith(" "))
        assert facts["id"] == id
        assert facts["args"] == '{"n":1}'
        assert facts["timeout"] == "120 s"
        assert facts["attempts"] == "1 failed, of 20 at most"
        assert facts["error"] == "there is no way,"
        assert 'raise GiveUp("there is no way' in told
        assert "\x1b" not in told

    def test_the_result(self, scheduler):
        id = scheduler.push(Job("greet"))
        drain(scheduler, greet=lambda _: ["hello"])
        assert '\nresult    ["hello"]\n' in goscheds("show", id)
        assert json.loads(goscheds("show", id, "--json"))["result"] == ["hello"]

    def test_an_unknown_job(self, here):
        assert "There is no job 'nope'" in not_done("show", "nope")


class TestStats:
    def test_counts_by_queue_and_state(self, scheduler):
        scheduler.push_many([Job("a", queue="mail"), Job("a", queue="mail"), Job("a")])
        scheduler.push_in(timedelta(hours=1), Job("a"))
        scheduler.pause("mail")
        lines = [line.split() for line in goscheds("stats").splitlines()]
        assert lines == [
            ["QUEUE", "SCHEDULED", "READY", "ACTIVE", "DONE", "DEAD", "CANCELLED"],
            ["default", "1", "1", "·", "·", "·", "·"],
            ["mail", "·", "2", "·", "·", "·", "·", "paused"],
        ]

    def test_json(self, scheduler):
        scheduler.push(Job("a", queue="mail"))
        told = json.loads(goscheds("stats", "--json"))
        assert told["queues"] == [
            {"queue": "mail", "paused": False, "scheduled": 0, "ready": 1, "active": 0, "done": 0, "dead": 0,
             "cancelled": 0}
        ]  # fmt: skip
        assert (told["workers"], told["lost_workers"]) == (0, 0)

    def test_watching_needs_a_terminal(self, here):
        assert "--watch draws on a terminal" in not_done("stats", "--watch", status=USAGE)


class TestWorkers:
    def test_what_each_holds_and_serves_and_who_is_lost(self, scheduler):
        scheduler.push(Job("a"))
        scheduler.store.heartbeat("w", 0.05, b'{"host":"h","pid":42,"queues":{"mail":8},"started":1700000000.0}')
        scheduler.store.claim("default", "w", 1, 0)
        (worker,) = until(lambda: [it for it in json.loads(goscheds("workers", "--json")) if it["lost"]])
        assert (worker["id"], worker["host"], worker["pid"]) == ("w", "h", 42)
        assert (worker["held"], worker["queues"]) == (1, {"mail": 8})
        assert goscheds("workers").splitlines()[1].split()[:4] == ["w", "lost", "1", "mail=8"]
        assert "1 lost" in run("stats", "-s", "sqlite:///jobs.db").stderr

    def test_one_that_says_what_we_do_not_understand(self, scheduler):
        scheduler.store.heartbeat("w", 60, b"\xff")
        (worker,) = json.loads(goscheds("workers", "--json"))
        assert (worker["id"], worker["host"], worker["pid"], worker["queues"]) == ("w", None, None, {})

    def test_none(self, here):
        assert run("workers", "-s", "sqlite:///jobs.db").stderr.startswith("No workers in namespace")


class TestSteer:
    def test_cancel_says_for_each_what_it_came_to(self, scheduler):
        waiting, active = scheduler.push(Job("a", queue="one")), scheduler.push(Job("a", queue="two"))
        scheduler.store.heartbeat("w", 60, b"")
        scheduler.store.claim("two", "w", 1, 0)
        result = run("cancel", waiting, active, "nope", "-s", "sqlite:///jobs.db")
        assert result.exit_code == 1
        assert result.stdout.splitlines() == [
            f"{waiting} is cancelled: it never starts.",
            f"{active} is active: its handler is told by the next heartbeat.",
        ]
        assert result.stderr.startswith("Error: There is no job 'nope' here to cancel")
        assert scheduler.get(waiting).state == "cancelled"

    def test_cancelling_what_has_ended_fails(self, scheduler):
        id = scheduler.push(Job("a"))
        drain(scheduler, a=lambda _: None)
        assert not_done("cancel", id) == f"Job '{id}' had ended before: it is done."

    def test_retry_by_way_of_a_pipe(self, scheduler):
        scheduler.push_many(Job("fails") for _ in range(2))
        drain(scheduler, fails=fails)
        ids = goscheds("jobs", "--state", "dead", "--ids").split()
        assert goscheds("retry", *ids).splitlines() == [f"{id} is ready." for id in ids]
        assert {info.attempts for info in scheduler.jobs(state="ready")} == {0}

    def test_reschedule(self, scheduler):
        id = scheduler.push(Job("a"))
        assert goscheds("reschedule", id, "--in", "1h") == f"{id} is scheduled.\n"
        assert goscheds("reschedule", id, "--at", "2027-01-01T00:00Z") == f"{id} is scheduled.\n"
        assert scheduler.get(id).job.execute_at == datetime(2027, 1, 1, tzinfo=UTC)

    @pytest.mark.parametrize("words", [[], ["--in", "1s", "--at", "2027-01-01T00:00Z"]])
    def test_reschedule_needs_one_moment(self, scheduler, words):
        assert "either --in DURATION or --at MOMENT" in not_done("reschedule", "a", *words, status=USAGE)

    def test_reschedule_what_has_ended(self, scheduler):
        id = scheduler.push(Job("a"))
        scheduler.cancel(id)
        assert "only a waiting job can be rescheduled" in not_done("reschedule", id, "--in", "1h")


class TestQueues:
    def test_pause_and_resume_say_how_many_wait(self, scheduler):
        scheduler.push(Job("a", queue="mail"))
        assert goscheds("pause", "mail") == "mail is paused; 1 job waits there.\n"
        assert scheduler.counts().paused == {"mail"}
        assert goscheds("resume", "mail", "mial").splitlines() == [
            "mail is resumed; 1 job waits there.",
            "mial was not paused; 0 jobs wait there.",
        ]
        assert scheduler.counts().paused == set()

    def test_purge_takes_what_it_is_asked_for(self, scheduler):
        ids = scheduler.push_many([Job("a", queue="one"), Job("a", queue="two")])
        for id in ids:
            scheduler.cancel(id)
        assert goscheds("purge", "cancelled", "--older-than", "1h") == "0 jobs deleted.\n"
        assert goscheds("purge", "cancelled", "--queue", "one") == "1 job deleted.\n"
        assert [info.id for info in scheduler.jobs()] == ids[1:]

    def test_purge_of_live_jobs_is_refused(self, here):
        assert "'ready' is not one of 'cancelled', 'dead', 'done'" in not_done("purge", "ready", status=USAGE)


class TestBackends:
    def test_names_each_scheme_with_its_plugin_and_driver(self, here):
        told = {view["scheme"]: view for view in json.loads(printed("backends", "--json"))}
        assert told["memory"] == {
            "scheme": "memory", "plugin": "goscheds", "driver": None, "installed": True, "install": None,
        }  # fmt: skip
        assert told["postgresql"]["driver"] == "psycopg"
        assert told["redis"]["install"] == "pip install 'goscheds[redis]'"

    def test_a_missing_driver_is_told_with_what_brings_it(self, here, monkeypatch):
        monkeypatch.setattr(stores, "find_spec", lambda _: None)
        line = next(line for line in printed("backends").splitlines() if line.startswith("redis://"))
        assert line.split(maxsplit=3) == ["redis://", "goscheds", "redis", "no: pip install 'goscheds[redis]'"]


class TestVerify:
    @pytest.mark.slow
    def test_rule_by_rule_with_what_was_skipped_and_why(self, here):
        told = printed("verify", "sqlite:///trial.db", "--law", "k2", "--law", "F1")
        assert "K2  held     Purge takes what it was asked for, and nothing live.\n" in told
        assert "F1  skipped  A driver's error arrives" in told
        assert "the binding has no fixture `restart`" in told
        assert told.endswith("1 held, 1 skipped.\n")

    def test_a_broken_rule_is_said_and_is_the_exit_status(self, here, monkeypatch):
        broken = Finding("P1", "test_p1_it_stays", Verdict.BROKEN, "assert 1 == 2\n  where")
        rules = [Rule("P1", "It stays.", Verdict.BROKEN, (broken,))]
        monkeypatch.setattr(stores, "try_laws", lambda *_: rules)
        result = run("verify", "sqlite:///trial.db")
        assert result.exit_code == 1
        assert result.stdout.splitlines() == [
            "P1  broken   It stays.",
            "    broken: test_p1_it_stays",
            "        assert 1 == 2",
            "          where",
            "1 broken.",
        ]

    def test_a_law_that_there_is_not(self, here):
        assert refused("verify", "sqlite:///trial.db", "--law", "Z9").startswith("There is no law Z9.")

    def test_without_the_extra_it_says_how_to_get_it(self, here, monkeypatch):
        monkeypatch.setattr("goscheds.contract.verify.find_spec", lambda name: None if name == "pytest" else name)
        assert "pip install 'goscheds[contract]'" in refused("verify", "sqlite:///trial.db")


def test_text_is_shown_on_one_line_and_can_not_steer():
    assert clean("a\nb\x1b[2J\u202ec") == "a b [2J c"
