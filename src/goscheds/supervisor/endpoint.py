"""A small HTTP server for health, in threads of its own."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from goscheds.errors import ConfigError

log = logging.getLogger("goscheds")
PATIENCE = 5.0
"""Seconds for whoever connects and asks nothing."""


def serve(host: str, port: int, answer: Callable[[str], tuple[int, str]]) -> ThreadingHTTPServer:
    """Answer GET requests with ``answer(path)`` from now on. Raises ConfigError."""

    class Handler(BaseHTTPRequestHandler):
        timeout = PATIENCE

        def do_GET(self) -> None:
            status, text = answer(self.path.partition("?")[0])
            body = text.encode() + b"\n"
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """A probe a second is no news."""

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        daemon_threads = True

        def shutdown(self) -> None:
            """End at once: nothing else cuts the half second short for which it waits for the next to connect."""
            with suppress(OSError):  # a system may see nobody there to say it to
                self.socket.shutdown(socket.SHUT_RDWR)
            super().shutdown()

        def handle_error(self, *_: object) -> None:
            """Whoever hung up is not our concern."""

    try:
        server = Server((host, port), Handler)
    except (OSError, OverflowError) as error:  # the latter for a port above 65,535
        raise ConfigError(f"Health can't be served at {host}:{port}: {error}. Give another host or port.") from error
    threading.Thread(target=server.serve_forever, name="goscheds-health", daemon=True).start()
    log.info("Health is served at http://%s:%d/live and /ready.", host, server.server_address[1])
    return server
