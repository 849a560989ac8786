"""Who may begin while a job is to be alone in its process."""

from __future__ import annotations

import asyncio
import threading

import pytest
from kit import heard, until

from goscheds import isolation
from goscheds.isolation import Isolation


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(isolation, "QUIET", 0.2)


def test_without_anybody_alone_everybody_begins():
    space = Isolation()
    space.enter("a")
    assert space.enters("b")


def test_who_wants_to_be_alone_waits_for_those_that_run():
    space, begun = Isolation(), threading.Event()
    isolation.QUIET = 10.0
    space.enter("a")

    def alone():
        with space.alone() as quiet:
            assert quiet
            begun.set()

    thread = threading.Thread(target=alone, daemon=True)
    thread.start()
    until(lambda: space.closed_until)
    assert not begun.is_set()
    space.leave("a")
    heard(begun)
    thread.join()


def test_who_does_not_come_to_be_alone_is_told_so_and_holds_nobody_up():
    space = Isolation()
    space.enter("a")
    with space.alone() as quiet:
        assert not quiet
    assert space.enters("b")


def test_two_are_never_alone_at_once():
    space = Isolation()
    with space.alone() as first, space.alone() as second:
        assert (first, second) == (True, None)


def test_nobody_begins_beside_who_is_alone_until_it_ends():
    space, begun = Isolation(), threading.Event()

    def among():
        space.enter("b")
        begun.set()

    with space.alone() as quiet:
        assert quiet
        thread = threading.Thread(target=among, daemon=True)
        thread.start()
        assert not begun.wait(0.1)
    heard(begun)
    thread.join()


def test_a_wait_is_no_longer_than_told_nor_than_anybody_may_be_alone(monkeypatch):
    monkeypatch.setattr(isolation, "LONGEST", 0.05)
    space = Isolation()
    with space.alone():
        space.enter("a", 0.01)
        space.enter("b")
        assert space.closed_until
    with space.alone() as quiet:
        assert not quiet, "those two run"


def test_on_the_loop_it_is_the_same():
    space = Isolation()

    async def beside():
        async with space.aalone() as quiet:
            assert quiet
            await space.aenter("impatient", 0.01)
            assert space.closed_until
        space.leave("impatient")

    async def all_of_it():
        async with space.aalone() as quiet:
            assert quiet
            waiting = asyncio.create_task(space.aenter("b"))
            async with space.aalone() as another:
                assert not another
            assert not waiting.done()
        await asyncio.wait_for(waiting, 5)
        async with space.aalone() as quiet:
            assert not quiet

    asyncio.run(beside())
    asyncio.run(all_of_it())
