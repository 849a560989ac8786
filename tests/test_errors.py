from __future__ import annotations

import inspect
from datetime import UTC, datetime, timedelta

import pytest

from goscheds import errors
from goscheds.errors import ConfigError, GiveUp, GoschedsError, RunAgain

EVERY = [value for value in vars(errors).values() if inspect.isclass(value) and value.__module__ == errors.__name__]


@pytest.mark.parametrize("error", EVERY, ids=lambda error: error.__name__)
def test_every_error_is_in_one_tree(error):
    assert issubclass(error, GoschedsError)


def test_give_up_says_why():
    assert GiveUp("sold out").reason == "sold out"
    assert str(GiveUp("sold out")) == "sold out"


def test_run_again_says_when():
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    assert str(RunAgain(timedelta(minutes=1))) == "run again after 0:01:00"
    assert str(RunAgain(at=moment)) == f"run again at {moment}"
    assert str(RunAgain(timedelta(0), reason="busy")) == "busy"


@pytest.mark.parametrize("when", [{}, {"after": timedelta(0), "at": datetime(2030, 1, 1, tzinfo=UTC)}])
def test_run_again_needs_one_moment(when):
    with pytest.raises(ConfigError, match="not both"):
        RunAgain(**when)
