"""TLS before a server that was built without it: a certificate of our own, and an end that speaks for the server."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path
from random import Random

from goscheds.chaos.proxy import Proxy


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate for a host, and its key."""

    cert: Path
    key: Path


def self_signed(folder: Path, host: str = "localhost") -> Certificate:
    """Make one, good for a day."""
    made = Certificate(folder / f"{host}.cert.pem", folder / f"{host}.key.pem")
    kind = ("-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1")
    names = ("-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}")
    files = ("-out", made.cert, "-keyout", made.key)
    subprocess.run(["openssl", "req", *kind, *names, *files], check=True, capture_output=True)
    return made


class Encrypted(Proxy):
    """TLS at a port of its own, and plain TCP from there to a server."""

    def __init__(self, port: int, certificate: Certificate, protocol: str = "") -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate.cert, certificate.key)
        if protocol:
            self._context.set_alpn_protocols([protocol])
        super().__init__("127.0.0.1", port, Random(0))  # noqa: S311 - it guards nothing

    async def _listen(self) -> int:
        self._through.set()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._context)
        return int(self._server.sockets[0].getsockname()[1])
