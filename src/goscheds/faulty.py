"""A store that fails by chance: a verb may not be done at all, or be done and its answer lost on the way.

For tests of workers, of producers, and of third parties' stores::

    with WrappedScheduler("myscheme://…", partial(Faulty, fates=by_chance(seed))) as scheduler: …
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from enum import Enum
from random import Random
from typing import TypeVar

from goscheds.errors import StoreUnavailable
from goscheds.store import Store
from goscheds.wrapping import Wrapped

T = TypeVar("T")


class Fate(Enum):
    """What happens to a call."""

    FINE = "fine"
    REFUSED = "refused"  # the store is not reached
    LOST = "lost"  # the store acts, and its answer is lost


Fates = Callable[[str], Fate]
"""Says what happens to the next call of a verb. Thread-safe."""


def by_chance(seed: int, refused: float = 0.1, lost: float = 0.1) -> Fates:
    """Fates by chance, with these probabilities.

    The n-th call of a verb has the same fate under the same seed, whatever other threads and verbs do meanwhile.
    """
    dice: dict[str, Random] = {}
    rolling = threading.Lock()

    def fate(verb: str) -> Fate:
        with rolling:
            rolled = dice.setdefault(verb, Random(f"{seed} {verb}")).random()  # noqa: S311 - it guards nothing
        return Fate.REFUSED if rolled < refused else Fate.LOST if rolled < refused + lost else Fate.FINE

    return fate


class Faulty(Wrapped):
    """A store whose calls meet their fates. ``met`` counts them by verb and fate; ``calm`` ends them."""

    def __init__(self, store: Store, fates: Fates) -> None:
        super().__init__(store)
        self._fates = fates
        self._calm = False
        self._counting = threading.Lock()
        self.met: Counter[tuple[str, Fate]] = Counter()

    def calm(self) -> None:
        """From now on nothing goes wrong."""
        self._calm = True

    def around(self, verb: str, call: Callable[[], T]) -> T:
        """Do what ``verb`` does, or not, or in vain. Raises StoreUnavailable."""
        fate = Fate.FINE if self._calm else self._fates(verb)
        with self._counting:
            self.met[verb, fate] += 1
        if fate is Fate.REFUSED:
            raise StoreUnavailable(f"{verb} was refused, by chance.")
        answer = call()
        if fate is Fate.LOST:
            raise StoreUnavailable(f"{verb} was done and its answer lost, by chance.")
        return answer
