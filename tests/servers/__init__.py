"""Real Redis, Valkey and Postgres servers for the tests: found, started, killed, restarted, and cleared away.

``find`` says which server a run would use, and how it came by it; ``launch`` starts it. The fixtures of
``tests/conftest.py`` are all that most tests need.
"""

from __future__ import annotations

from servers.pooler import find_pooler, launch_pooler
from servers.ready import probe
from servers.routes import KINDS, NoServer, Route, docker_answers, find
from servers.running import Elsewhere, Server, launch

__all__ = [
    "KINDS",
    "Elsewhere",
    "NoServer",
    "Route",
    "Server",
    "docker_answers",
    "find",
    "find_pooler",
    "launch",
    "launch_pooler",
    "probe",
]
