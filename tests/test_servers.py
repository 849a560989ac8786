"""The servers of the tests: every route to one, and what a test may do to its own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psycopg
import pytest
import redis
from servers import NoServer, Route, docker_answers, find, launch, probe

SERVERS = ("redis", "valkey", "postgres")
NOWHERE = {"PATH": "", "DOCKER_HOST": "unix:///nonexistent/docker.sock"}


@pytest.fixture
def docker():
    """A daemon that answers a ping, and is asked nothing else."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{folder}/docker.sock")
        listening.listen()

        def answer():
            with listening.accept()[0] as connection:
                assert connection.recv(64).startswith(b"GET /_ping")
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nOK")

        answering = threading.Thread(target=answer)
        answering.start()
        yield {**NOWHERE, "DOCKER_HOST": f"unix://{folder}/docker.sock"}
        answering.join()


@pytest.fixture
def path_of_its_own(tmp_path):
    """A PATH with the programs of the wheels on it."""
    for server in ("redis", "valkey"):
        (tmp_path / f"{server}-server").symlink_to(find(server, "wheel").at)
    return {**NOWHERE, "PATH": f"{tmp_path}:{find('postgres', 'wheel').at}"}


def test_the_shared_servers_answer(redis_server, valkey_server, postgres_server):
    for server in (redis_server, valkey_server, postgres_server):
        assert probe(server.url).split(".")[0] == server.version.split(".")[0]


def test_the_shared_servers_are_who_they_say(redis_url, postgres_url):
    with redis.Redis.from_url(redis_url) as client:
        assert client.ping()
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


@pytest.mark.parametrize("server", SERVERS)
def test_a_url_of_the_environment_comes_first(server, docker, request):
    url = request.getfixturevalue(f"{server}_url")
    route = find(server, environ={**docker, f"GOSCHEDS_TEST_{server.upper()}_URL": url})
    assert (route.kind, route.at) == ("url", url)
    assert route.version == probe(url)
    with pytest.raises(RuntimeError, match="not ours to stop"):
        launch(route).kill()
    docker_answers(docker)  # lets the fixture end


def test_a_url_that_does_not_answer_is_an_error_and_not_passed_over():
    with pytest.raises(NoServer, match="GOSCHEDS_TEST_REDIS_URL names a server that does not answer"):
        find("redis", environ={"GOSCHEDS_TEST_REDIS_URL": "redis://127.0.0.1:1/0"})


def test_docker_comes_next_where_its_daemon_answers(docker):
    assert find("redis", environ=docker) == Route("redis", "docker", "redis:8", "8")


def test_without_docker_asking_for_it_costs_milliseconds():
    began = time.perf_counter()
    assert not docker_answers(NOWHERE)
    assert time.perf_counter() - began < 0.05


@pytest.mark.parametrize("server", SERVERS)
def test_programs_on_the_path_come_next(server, path_of_its_own):
    route = find(server, environ=path_of_its_own)
    assert route.kind == "local"
    assert route.version == find(server, "wheel").version


def test_debians_folder_is_searched_newest_first(monkeypatch, tmp_path):
    for version in ("9", "18", "15"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "bin").symlink_to(find("postgres", "wheel").at)
    monkeypatch.setattr("servers.routes.DEBIAN_POSTGRES", tmp_path)
    assert find("postgres", environ=NOWHERE).at == str(tmp_path / "18" / "bin")


def test_a_program_that_is_too_old_or_broken_is_passed_over(tmp_path):
    for text in ("echo 'Redis server v=5.0.14 sha=0'", "exit 1", "echo nonsense"):
        program = tmp_path / "redis-server"
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
        assert find("redis", environ={**NOWHERE, "PATH": str(tmp_path)}).kind == "wheel"


@pytest.mark.parametrize("server", SERVERS)
def test_a_wheel_comes_last(server, monkeypatch, tmp_path):
    monkeypatch.setattr("servers.routes.DEBIAN_POSTGRES", tmp_path)
    assert find(server, environ=NOWHERE).kind == "wheel"


@pytest.mark.parametrize("server", SERVERS)
def test_without_any_route_one_line_says_how_to_help(server):
    with pytest.raises(NoServer) as caught:
        find(server, "docker", environ=NOWHERE)
    said = str(caught.value)
    assert "\n" not in said
    for help in (f"GOSCHEDS_TEST_{server.upper()}_URL", "Docker", "install", "wheel", "GOSCHEDS_TEST_ALLOW_SKIP=1"):
        assert help in said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("environ", "ended"),
    [
        ({}, "1 error"),
        ({"GOSCHEDS_TEST_ALLOW_SKIP": "1"}, "1 skipped"),
        ({"GOSCHEDS_TEST_ALLOW_SKIP": "1", "CI": "1"}, "1 error"),
    ],
    ids=["fails", "may skip on a laptop", "never skips in CI"],
)
def test_a_run_without_a_server(environ, ended):
    clean = {name: value for name, value in os.environ.items() if name not in ("CI", "GOSCHEDS_TEST_ALLOW_SKIP")}
    one = f"{__file__}::test_the_shared_servers_are_who_they_say"
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--servers=docker", one],
        env={**clean, "DOCKER_HOST": NOWHERE["DOCKER_HOST"], **environ},
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended in ran.stdout
    assert "server: No redis server for the tests (tried: docker)." in ran.stdout  # in the header
    assert ran.stdout.count("Start Docker, or install redis-server") >= 2  # and where the test failed


def test_a_killed_redis_keeps_what_its_log_has(private_redis):
    server = private_redis(aof="always")
    with redis.Redis.from_url(server.url) as client:
        client.set("a", "1")
    server.kill()
    with pytest.raises(ConnectionError):
        probe(server.url)
    server.start()
    with redis.Redis.from_url(server.url) as client:
        assert client.get("a") == b"1"


def test_a_redis_without_a_log_forgets_and_takes_options(private_valkey):
    server = private_valkey("--maxmemory-policy", "allkeys-lru")
    with redis.Redis.from_url(server.url) as client:
        client.set("a", "1")
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "allkeys-lru"}
    server.restart()
    with redis.Redis.from_url(server.url) as client:
        assert client.get("a") is None


def test_a_killed_postgres_keeps_what_was_committed(private_postgres):
    server = private_postgres("max_connections=20")
    with psycopg.connect(server.url) as connection:
        connection.execute("create table kept as select 7 as number")
        connection.commit()
        server.kill()
    server.start()
    with psycopg.connect(server.url) as connection:
        assert connection.execute("select number from kept").fetchone() == (7,)
        assert connection.execute("show max_connections").fetchone() == ("20",)


def test_a_server_that_does_not_start_shows_its_log_and_leaves_nothing():
    with pytest.raises(RuntimeError, match="nonsense"):
        launch(find("valkey", private=True), "--nonsense", "1")


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to step down")
def test_root_starts_postgres_from_a_folder_that_nobody_else_may_enter(monkeypatch):
    with tempfile.TemporaryDirectory() as locked:  # 0700
        package = Path(find("postgres", "wheel").at).parent.parent
        for folder in (package, package.with_name(f"{package.name}.libs")):
            shutil.copytree(folder, Path(locked) / folder.name, symlinks=True)
        at = Path(locked) / package.name / "pginstall" / "bin"
        server = launch(Route("postgres", "wheel", str(at), "18"))
        try:
            assert probe(server.url)
        finally:
            server.remove()


def test_servers_die_with_their_tests_even_when_these_are_killed():
    code = (
        "from servers import find, launch; import time\n"
        "server = launch(find('valkey', private=True)); print(server.url, server.folder, flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=Path(__file__).parent, stdout=subprocess.PIPE, text=True
    ) as tests:
        url, folder = tests.stdout.readline().split()
        assert probe(url)
        tests.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while Path(folder).exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    with pytest.raises(ConnectionError):
        probe(url)


class PretendContainer:
    """What the tests use of testcontainers' DockerContainer, over a local program. It shows the calls, not Docker."""

    def __init__(self, image):
        self.image = image
        self.ports = {}
        self.process = None

    def with_command(self, command):
        self.command = command
        return self

    def start(self):
        host, port = self.ports["6379/tcp"]
        program = find("valkey", "wheel").at
        self.process = subprocess.Popen(
            [program, *self.command[1:], "--port", str(port), "--bind", host], stdout=subprocess.DEVNULL
        )

    def stop(self):
        self.process.kill()
        self.process.wait()

    kill = stop

    def get_wrapped_container(self):
        return self

    def get_container_host_ip(self):
        return "127.0.0.1"

    def get_exposed_port(self, port):
        return self.ports[f"{port}/tcp"][1]


def test_a_container_keeps_its_port_over_a_kill(monkeypatch):
    monkeypatch.setattr("servers.container.DockerContainer", PretendContainer)
    server = launch(Route("valkey", "docker", "valkey/valkey:9", "9"), "--maxmemory", "100mb")
    try:
        url = server.url
        server.kill()
        with pytest.raises(ConnectionError):
            probe(url)
        server.start()
        assert probe(url)
    finally:
        server.remove()
