"""What a Postgres that can't be used says, and what to do about it."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from servers import Server

from goscheds.backends.sql.postgres import connect
from goscheds.errors import StoreError, StoreUnavailable

SSL, GSS = 80877103, 80877104


@contextmanager
def answering(code: str, message: str) -> Iterator[str]:
    """The URL of a server that turns everybody away with an error."""
    fields = b"".join(key + text.encode() + b"\0" for key, text in ((b"S", "FATAL"), (b"C", code), (b"M", message)))
    error = b"E" + struct.pack(">i", len(fields) + 5) + fields + b"\0"

    def answer() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                with connection:
                    while struct.unpack(">ii", connection.recv(1024)[:8])[1] in (SSL, GSS):
                        connection.sendall(b"N")
                    connection.sendall(error)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        answers = threading.Thread(target=answer)
        answers.start()
        yield f"postgresql://shop:hunter2@127.0.0.1:{listening.getsockname()[1]}/jobs"
        listening.shutdown(socket.SHUT_RDWR)
        answers.join()


@pytest.mark.parametrize(
    ("code", "message", "kind", "advice"),
    [
        ("57P03", "the database system is starting up", StoreUnavailable, "is starting up"),
        ("57P03", "the database system is shutting down", StoreUnavailable, "is shutting down"),
        ("57P03", "the database system is in recovery mode", StoreUnavailable, "is in recovery mode"),
        ("53300", "sorry, too many clients already", StoreUnavailable, "max_connections"),
        ("28P01", 'password authentication failed for user "shop"', StoreError, "Check the user and the password"),
        ("28000", 'no pg_hba.conf entry for host "127.0.0.1"', StoreError, "Check the user and the password"),
        ("28000", 'role "shop" does not exist', StoreError, "Check the user and the password"),
        ("3D000", 'database "jobs" does not exist', StoreError, "createdb"),
    ],
)
def test_a_server_that_turns_us_away_says_whether_to_wait_and_what_to_do(code, message, kind, advice):
    with answering(code, message) as url, pytest.raises(StoreError, match=advice) as caught:
        connect(url, "shop").open()
    assert type(caught.value) is kind
    assert isinstance(caught.value.__cause__, psycopg.OperationalError)
    assert "hunter2" not in str(caught.value)


def test_a_database_that_is_not_there_is_named(postgres_url):
    with pytest.raises(StoreError, match=r"nowhere.*createdb"):
        connect(urlsplit(postgres_url)._replace(path="/nowhere").geturl(), "shop").open()


@pytest.mark.slow
def test_a_server_without_room_is_unavailable_and_may_have_some_later(private_postgres: Callable[..., Server]):
    url = private_postgres("max_connections=5", "superuser_reserved_connections=0", "max_wal_senders=0").url
    store = connect(url, "shop")
    with ExitStack() as others:
        for _ in range(5):
            others.enter_context(psycopg.connect(url))
        with pytest.raises(StoreUnavailable, match="max_connections"):
            store.open()
    store.open()
    store.close()


def test_a_schema_that_is_not_there_is_named(postgres_url):
    with pytest.raises(StoreError, match="Create the schema"):
        connect(f"{postgres_url}?options=-csearch_path%3Dnowhere", "shop").open()


def test_a_role_without_a_right_is_told_which(postgres_url):
    role = f"humble_{uuid4().hex[:8]}"
    parts = urlsplit(postgres_url)
    url = parts._replace(netloc=f"{role}@{parts.hostname}:{parts.port}").geturl()
    with psycopg.connect(postgres_url, autocommit=True) as superuser:
        superuser.execute(f"CREATE ROLE {role} LOGIN")
        superuser.execute(f"CREATE SCHEMA {role}")
        superuser.execute(f"GRANT USAGE ON SCHEMA {role} TO {role}")
        store = connect(f"{url}?options=-csearch_path%3D{role}", "shop")
        with pytest.raises(StoreError, match="needs CREATE on the schema"):
            store.open()
        superuser.execute(f"GRANT CREATE ON SCHEMA {role} TO {role}")
        store.open()
        store.close()
        superuser.execute(f"DROP OWNED BY {role}")
        superuser.execute(f"DROP SCHEMA {role}")
        superuser.execute(f"DROP ROLE {role}")
