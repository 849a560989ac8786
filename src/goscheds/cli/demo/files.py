"""The real files that the demonstration counts, and the plain loop that it is checked against."""

from __future__ import annotations

import hashlib
import os
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

from msgspec import Struct

LEFT_OUT = frozenset({"__pycache__", "site-packages", "dist-packages"})
"""What is not the standard library's own, but lies in its directory."""


class Measure(Struct, frozen=True):
    """What is counted of a file."""

    size: int
    lines: int
    words: int
    sha256: str


class Totals(Struct, frozen=True):
    """What is counted of all of them. ``sha256`` is that of their paths and digests, sorted."""

    files: int
    size: int
    lines: int
    words: int
    sha256: str

    @classmethod
    def of(cls, measures: Mapping[str, Measure]) -> Totals:
        """The sum over files by path."""
        listing = "".join(f"{measure.sha256}  {path}\n" for path, measure in sorted(measures.items()))
        return cls(
            len(measures),
            sum(measure.size for measure in measures.values()),
            sum(measure.lines for measure in measures.values()),
            sum(measure.words for measure in measures.values()),
            hashlib.sha256(listing.encode()).hexdigest(),
        )


def standard_library() -> Path:
    """The running Python's own library."""
    return Path(sysconfig.get_paths()["stdlib"])


def files_in(directory: Path) -> list[str]:
    """The readable files in a directory and those below, each as an argument of a job: see ``as_argument``."""
    found = []
    for folder, folders, names in os.walk(directory):
        folders[:] = sorted(set(folders) - LEFT_OUT)
        paths = (Path(folder, name) for name in sorted(names))
        found += [as_argument(path) for path in paths if path.is_file() and os.access(path, os.R_OK)]
    return found


def as_argument(path: Path) -> str:
    """A path as text that JSON can carry, whatever bytes it is made of."""
    return quote(os.fsencode(path))


def measure(argument: str) -> Measure:
    """Count a file. Raises OSError."""
    size = lines = words = 0
    digest = hashlib.sha256()
    with Path(os.fsdecode(unquote_to_bytes(argument))).open("rb") as file:
        for line in file:
            size += len(line)
            lines += 1
            words += len(line.split())
            digest.update(line)
    return Measure(size, lines, words, digest.hexdigest())
