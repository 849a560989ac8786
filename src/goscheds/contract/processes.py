"""Real processes to race, stop and kill. They are spawned, so that a store needs nothing but its installed plugin."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import IO, Any, Protocol

from goscheds.contract.bench import PATIENCE
from goscheds.plugins import plugins

PROGRAM = Path(__file__).with_name("actor.py")


def register_plugins() -> None:
    """Register the modules that ``GOSCHEDS_CONTRACT_PLUGINS`` names, for stores that no installed plugin brings."""
    for name in filter(None, os.environ.get("GOSCHEDS_CONTRACT_PLUGINS", "").split(",")):
        plugins.register(import_module(name))


class Start(Protocol):
    """Starts a process that plays a scene of ``goscheds.contract.actor``."""

    def __call__(self, scene: str, *, skew: int = 0, **arguments: object) -> Actor:
        """``skew`` is what its clock is wrong by, in seconds."""


class Actor:
    """A process with a store of its own. It says where it is, line by line."""

    def __init__(self, part: Mapping[str, object], environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**environment, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        assert self._process.stdin
        assert self._process.stdout
        self._in = self._process.stdin
        self._heard: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True).start()
        self.tell(part)

    def _listen(self, out: IO[str]) -> None:
        with out:
            for line in out:
                self._heard.put(line)
        self._heard.put("")

    def tell(self, what: object = None) -> None:
        """Send it a line; without anything to say, the word to go on."""
        self._in.write(json.dumps(what) + "\n")
        self._in.flush()

    def hear(self, within: float = PATIENCE) -> Any:
        """What it says next. Fails if it ends instead."""
        line = self._heard.get(timeout=within)
        assert line, f"the process ended, with {self._process.wait(PATIENCE)}; its error output says why"
        return json.loads(line)

    def stop(self) -> None:
        """Stop it where it stands, as a machine does that swaps or sleeps."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self._process.kill()
        self._process.wait(PATIENCE)
        self._in.close()


class Actors:
    """The processes of one test."""

    def __init__(self, url: str, namespace: str, environment: Mapping[str, str]) -> None:
        self._part = {"url": url, "namespace": namespace}
        self._environment = environment
        self._started: list[Actor] = []

    def start(self, scene: str, *, skew: int = 0, **arguments: object) -> Actor:
        """One more process."""
        part = {**self._part, "scene": scene, "skew": skew, "arguments": arguments}
        actor = Actor(part, self._environment)
        self._started.append(actor)
        return actor

    def kill(self) -> None:
        """End them all."""
        for actor in self._started:
            actor.kill()
