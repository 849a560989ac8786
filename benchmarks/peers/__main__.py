"""goscheds beside its peers and the bare loop of each driver: on one machine, in one run, in turns.

    python benchmarks/peers --store redis --repeat 3
    python benchmarks/peers --store postgres --peers pgqueuer,awa --measure drain,pickup --into figures.jsonl
    python benchmarks/peers --table figures.jsonl --plot peers.svg

Each peer is reached through its public interface (``adapters/``), in an environment of its own that is made from
pinned requirements (``pins/``). One that can't be installed or run is named with its reason. Every measurement has a
fresh store, and a worker of one process. Raw figures go to ``--into``, line by line, so that a run can be made in
pieces; tables are medians over all turns.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

sys.path.insert(1, str(Path(__file__).resolve().parent.parent))

import bare
from arena import Arena, arena
from entrants import BARE, OURS, PEERS, STORES, STYLES, Peer
from environments import HERE, NotInstalled, environment
from goals import goals
from tables import spread, tables

PARTS = ("store", "peer", "measure", "style")
"""What names a match among the figures."""
COUNTED = ("enqueue", "bulk", "drain")
MEASURES = (*COUNTED, "pickup", "lateness", "idle")
LEAST, MOST = 300, 100_000
"""The bounds of how many jobs are counted; the first trial is of the least."""
ENOUGH, SECONDS = 1.0, 1.5
"""How long a trial takes that tells a rate, and what is measured after it: short ones tell of a cold start."""
SAMPLES = {"pickup": 40, "lateness": 100, "idle": 10}
LIMIT = 100.0
"""Seconds after which a measurement is given up altogether."""
ENDED = "ended by itself, or was given up"


class CannotRun(Exception):
    """A measurement did not come about; says why."""


@dataclass
class Match:
    """One entrant on one measure and style, and its longest run so far: how many jobs, and how fast."""

    peer: Peer
    measure: str
    style: str
    jobs: int = 0
    rate: float = 0.0

    def note(self, found: dict[str, Any]) -> None:
        """Remember a run if none was longer."""
        if "rate" in found and found["jobs"] >= self.jobs:
            self.jobs, self.rate = found["jobs"], found["rate"]

    @property
    def known(self) -> bool:
        """Whether it lasted long enough to tell how many jobs make a measurement."""
        return self.jobs >= MOST or 0 < self.rate * ENOUGH <= self.jobs

    @property
    def wanted(self) -> int:
        """The jobs of the next run: everybody is measured for about the same time."""
        return min(max(int(self.rate * SECONDS), LEAST), MOST)


def matches(store: str, told: argparse.Namespace) -> Iterator[Match]:
    """Everything to be measured in one turn, in an order that brings rivals side by side."""
    adapter = Peer(OURS, store, "goscheds", "")
    loop = Peer(BARE, store, "", "", ("sync",))
    wanted = [peer for peer in PEERS if peer.store == store and (not told.peers or peer.name in told.peers)]
    for measure in told.measure:
        for style in STYLES if measure == "drain" else ("",):
            if measure in COUNTED and store in bare.KINDS | {"postgres": None} and style != "async":
                yield Match(loop, measure, style)
            if store != "memory":
                yield Match(adapter, measure, style)
            for peer in wanted:
                if not style or style in peer.styles:
                    yield Match(peer, measure, style)


def play(match: Match, place: Arena) -> Iterator[dict[str, Any]]:
    """One measurement, after trials while it is not known how many jobs make one. Raises CannotRun and NotInstalled."""
    if match.measure not in COUNTED:
        yield run(match, place, SAMPLES[match.measure])
        return
    trial = True
    while trial:
        trial = not match.known  # each is half as long again as the one before at least, until one takes a second
        found = run(match, place, match.wanted)
        match.note(found)
        yield {**found, "trial": True} if trial else found


def run(match: Match, place: Arena, jobs: int) -> dict[str, Any]:
    """Measure once, on an empty store."""
    peer = match.peer
    with place.fresh() as url:
        if peer.name == BARE:
            return {"jobs": jobs, "rate": getattr(bare, match.measure)(url, jobs)}
        python = Path(sys.executable) if peer.name == OURS else environment(peer.pins, peer.python)
        style = match.style or peer.styles[0]
        with tempfile.TemporaryDirectory(prefix="peers-notes-") as folder:
            told = {"PEERS_URL": url, "PEERS_STYLE": style, "PEERS_NOTES": f"{folder}/notes"}
            return {
                "jobs": jobs,
                **listen([str(python), "part.py", peer.adapter, match.measure, str(jobs)], told, place),
            }


def listen(command: list[str], told: dict[str, str], place: Arena) -> dict[str, Any]:
    """Run the part, read the meters at its marks, and add what they say to its answer. Raises CannotRun."""
    readings, answer = [], None
    with tempfile.TemporaryFile("w+") as errors:
        with subprocess.Popen(  # noqa: S603 - this repository's own program
            command, cwd=HERE, env={**os.environ, **told}, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=errors,
        ) as process:  # fmt: skip
            watch = threading.Timer(LIMIT, process.terminate)  # it kills its worker
            watch.start()
            for line in process.stdout or ():
                answer = json.loads(line)
                if answer == "mark":
                    readings.append(place.meters())
                    process.stdin.write("\n")  # type: ignore[union-attr]
                    process.stdin.flush()  # type: ignore[union-attr]
            watch.cancel()
        if not isinstance(answer, dict) or "failed" in answer:
            raise CannotRun(": ".join([answer["failed"] if isinstance(answer, dict) else ENDED, *_last(errors)]))
    if len(readings) == 2:  # noqa: PLR2004 - before and after
        answer["work"] = {name: readings[1][name] - readings[0][name] for name in readings[0]}
    if "took" in answer:
        answer.update(spread(answer.pop("took")))
    return answer


def _last(errors: IO[str]) -> list[str]:
    """The last line that says anything."""
    errors.seek(0)
    return [line for line in errors.read().splitlines() if line.strip()][-1:]


def turns(store: str, told: argparse.Namespace, earlier: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The figures, as they are taken; a match that can't be played is tried once."""
    with arena(store) as place:
        todo = list(matches(store, told))
        for match, one in itertools.product(todo, earlier):
            if (store, match.peer.name, match.measure, match.style) == tuple(one[part] for part in PARTS):
                match.note(one)
        for turn in range(told.repeat):
            for match in list(todo):
                said = {"store": store, "peer": match.peer.name, "measure": match.measure, "style": match.style}
                print(f"{store}, turn {turn + 1}: {match.measure} {match.style} {match.peer.name}", file=sys.stderr)
                try:
                    for found in play(match, place):
                        yield {**said, **found, "server": place.version}
                except (CannotRun, NotInstalled) as reason:
                    todo.remove(match)
                    print(f"    {reason}", file=sys.stderr)
                    yield {**said, "failed": str(reason)}


def options() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", action="append", choices=STORES, help="may be given again; default: all")
    parser.add_argument("--peers", type=lambda text: text.split(","), default=[], help="names; default: all")
    parser.add_argument("--measure", type=lambda text: text.split(","), default=list(MEASURES), help=",".join(MEASURES))
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--into", type=Path, help="a file that raw figures are added to, one line of JSON each")
    parser.add_argument("--table", type=Path, help="measure nothing: print the tables of such a file")
    parser.add_argument("--plot", type=Path, help="an SVG file to draw the rates into")
    return parser.parse_args()


def _earlier(file: Path | None) -> list[dict[str, Any]]:
    """What was measured before, in other pieces of the run."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file and file.exists() else []


def main() -> None:
    """Measure, and print the tables."""
    told = options()
    figures = _earlier(told.table or told.into)
    if not told.table:
        for store in told.store or STORES:
            for figure in turns(store, told, list(figures)):
                figures.append(figure)
                if told.into:
                    with told.into.open("a") as into:
                        into.write(json.dumps(figure) + "\n")
    figures = [figure for figure in figures if "trial" not in figure]
    print("\n\n".join([*tables(figures), *goals(figures)]))
    if told.plot:
        from drawing import draw

        told.plot.write_text(draw(figures))


if __name__ == "__main__":
    main()
