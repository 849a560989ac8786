"""The Lua scripts, each of which is one atomic step. What they do stands in ``lua/``, at the head of each."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.resources import files
from typing import Any

from hiredis import pack_command
from redis import Redis
from redis.exceptions import NoScriptError, OutOfMemoryError, RedisError, ResponseError

from goscheds.backends.redis.client import as_ours
from goscheds.errors import StoreUnavailable

LUA = {file.name.removesuffix(".lua"): file.read_text() for file in (files(__package__) / "lua").iterdir()}
CONSTANTS: dict[str, str] = dict(re.findall(r"^([A-Z_]+) = (.+)$", LUA.pop("constants"), re.MULTILINE))


def _whole(script: str) -> str:
    """A script with the parts that its lines name (``-- Uses jobs, lines.``) in their place, and constants written out.

    The server builds every function at every call, and each variable that a function sees: for a push of one job that
    took longer than the push. What is seldom needed is put into a function that builds it.
    """
    text = re.sub("(?m)^ *-- Uses (.+)[.]\n", lambda uses: "".join(LUA[part] for part in uses[1].split(", ")), script)
    return re.sub("[A-Z][A-Z_]+", lambda name: CONSTANTS.get(name[0], name[0]), text)


TEXTS = {name: _whole(text) for name, text in LUA.items()}
DIGESTS = {name: hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest() for name, text in TEXTS.items()}


FRESH = 0.002  # seconds for which a connection is not looked at again before it is used: no server is back so soon


class Line:
    """A client with the scripts on one namespace; they are sent by digest, and whole when the server forgot them.

    They go to a connection of its pool, as the client's own way there takes longer than the server (redis-py 8.1). What
    was used just now is kept at hand: the way into the pool and out again is a fifth of a push.
    """

    def __init__(self, client: Redis, shown: str, tag: str) -> None:
        self.client, self.closed, self._shown, self._tag = client, False, shown, tag
        self._kept: list[tuple[Any, int, float]] = []  # connections, the process of each, and when it was used

    def drop(self) -> None:
        """Let go of the idle connections."""
        with suppress(IndexError):  # the last may go to another thread at any moment
            while True:
                self.client.connection_pool.release(self._kept.pop()[0])
        self.client.connection_pool.disconnect(inuse_connections=False)

    def __enter__(self) -> None:
        """The driver's errors become those of goscheds."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, (RedisError, OSError)):
            ours = as_ours(error, self._shown)
            if isinstance(ours, StoreUnavailable):
                self.drop()  # the other connections are as stale, or lead to where the namespace was
            raise ours from error

    def run(self, name: str, *args: str | bytes | int) -> Any:  # the answer's shape stands in the script's header
        """Run a script; its answer as the driver gives it."""
        return self.run_all((name, *args))[0]

    def run_all(self, *calls: Sequence[Any]) -> list[Any]:
        """Run scripts, each told by name and arguments, one after the other in one round trip; their answers."""
        with self:
            answers = list(self.answers([self.command(name, *args) for name, *args in calls]))
            for n, (name, *args) in enumerate(calls):
                if isinstance(answers[n], NoScriptError):
                    answers[n : n + 1] = self.answers([("EVAL", TEXTS[name], 1, self._tag, *args)])
                if isinstance(answers[n], ResponseError):
                    raise answers[n]
            return answers

    def command(self, name: str, *args: Any) -> Sequence[Any]:
        """What is sent to run a script."""
        return ("EVALSHA", DIGESTS[name], 1, self._tag, *args)

    def answers(self, commands: Sequence[Any]) -> Iterator[Any]:
        """The answers to commands that are sent at once, as they come.

        That a script is not known, or the server full, is an answer: those behind it say what was claimed all the same.
        """
        connection = self._connection()
        try:
            # For a push redis-py's own way of packing took 6 µs more than this, where the server takes 15.
            packed = [pack_command(*commands)] if len(commands) == 1 else connection.pack_commands(commands)
            connection.send_packed_command(packed)
            for _ in commands:
                try:
                    yield connection.read_response()
                except (NoScriptError, OutOfMemoryError) as error:
                    yield error
        except BaseException:
            connection.disconnect()  # an answer may still be on its way
            raise
        finally:
            self._kept.append((connection, os.getpid(), time.monotonic()))
            if self.closed:  # while this call was still waiting
                self.drop()

    def _connection(self) -> Any:
        with suppress(IndexError):
            connection, process, used = self._kept.pop()
            if time.monotonic() - used < FRESH and process == os.getpid():
                return connection
            self.client.connection_pool.release(connection)
        return self.client.connection_pool.get_connection()
