"""Whom a store's URL is told to, and to whom its connection leads: nobody and nowhere else."""

from __future__ import annotations

import json
import logging
import traceback
from contextlib import closing
from urllib.request import urlopen

import pytest
from servers.tls import Encrypted, self_signed

from goscheds import Job, Scheduler, Worker
from goscheds.errors import StoreUnavailable
from goscheds.plugins import open_store
from goscheds.supervisor.health import LOOPBACK, Condition, HealthServer, open_health
from goscheds.vitals import Vitals

NAMING = ("redis+sentinel", "postgresql")
"""Schemes whose path names something."""
SECRET = "hunter2"  # noqa: S105 - the point of it


def encrypted_url(server, scheme: str, folder, named: str, trusted: str) -> tuple[Encrypted, str]:
    """TLS before a server, by a certificate of one name, and a URL that trusts another, or the same."""
    certificates = {name: self_signed(folder, name) for name in {named, trusted}}
    end = Encrypted(server.port, certificates[named], "postgresql" if scheme == "postgresql" else "")
    if scheme == "rediss":
        return end, f"rediss://localhost:{end.port}/0?ssl_ca_certs={certificates[trusted].cert}"
    options = f"sslmode=verify-full&sslnegotiation=direct&sslrootcert={certificates[trusted].cert}"
    return end, f"postgresql://postgres@localhost:{end.port}/postgres?{options}"


@pytest.fixture(params=["rediss", "postgresql"])
def served(request, tmp_path):
    """Starts TLS before a server: ``served(named, trusted)``."""
    if request.param == "postgresql":
        psycopg = pytest.importorskip("psycopg")
        if psycopg.pq.version() < 170000:
            pytest.skip("before 17, libpq begins TLS with words of its own, which only a Postgres with TLS understands")
    server = request.getfixturevalue("redis_server" if request.param == "rediss" else "postgres_server")
    ends: list[Encrypted] = []

    def serve(named: str, trusted: str) -> str:
        end, url = encrypted_url(server, request.param, tmp_path, named, trusted)
        ends.append(end)
        return url

    yield serve
    for end in ends:
        end.close()


def test_a_store_whose_certificate_is_right_is_reached(served):
    with Scheduler(served("localhost", "localhost"), "secrets") as scheduler:
        scheduler.push(Job("greet", id="over TLS"))
        assert scheduler.get("over TLS").job.name == "greet"
        scheduler.store.erase()


def test_a_store_by_another_name_is_not(served):
    with pytest.raises(StoreUnavailable) as said:
        open_store(served("elsewhere", "elsewhere"), "secrets").open()
    assert any(word in str(said.value) for word in ("Hostname mismatch", "does not match host name"))


def test_a_store_whose_certificate_nobody_vouches_for_is_not(served):
    with pytest.raises(StoreUnavailable) as said:
        open_store(served("localhost", "elsewhere"), "secrets").open()
    assert "certificate verify failed" in str(said.value)


@pytest.mark.parametrize("scheme", ["redis", "rediss", "redis+sentinel", "redis+cluster", "valkey", "postgresql"])
def test_a_password_is_in_no_message_log_or_traceback(scheme, caplog):
    caplog.set_level(logging.DEBUG)
    scheduler = Scheduler(f"{scheme}://user:{SECRET}@127.0.0.1:1/{'name' if scheme in NAMING else 0}")
    told = [repr(scheduler), scheduler.url]
    for verb in (lambda: scheduler.store, Worker(scheduler).run):
        with pytest.raises(StoreUnavailable) as said:
            verb()
        told += traceback.format_exception(said.value)
    assert SECRET not in "".join(told) + caplog.text


def test_health_is_served_on_loopback_alone_and_says_nothing_of_jobs():
    vitals = Vitals("host:7:abc", 7, 10.0, 0.5, 3, 4096, stopping=False)
    with closing(open_health("0")) as health:
        assert isinstance(health, HealthServer)
        host, port = health._server.server_address[:2]
        assert host == LOOPBACK == "127.0.0.1"
        health.tell(Condition(ready=True, workers=[vitals]))
        with urlopen(f"http://{host}:{port}/ready") as answer:
            told = json.load(answer)
    (worker,) = told.pop("workers")
    assert set(worker) | set(told) <= {
        "at", "live", "ready", "worker", "pid", "lease", "polled", "settled", "memory", "stopping", "worn", "lag",
    }  # fmt: skip
