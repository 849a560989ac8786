from __future__ import annotations

import pytest

from goscheds.errors import ConfigError
from goscheds.url import check_namespace, flag, redact, split_options


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("redis://:secret@localhost/0", "redis://:***@localhost/0"),
        ("postgresql://me:p@ss:word@db/x", "postgresql://me:***@db/x"),
        ("postgresql://me@db/x", "postgresql://me@db/x"),
        ("postgresql://db/x?password=hush&sslmode=require", "postgresql://db/x?password=***&sslmode=require"),
        ("redis://h/0?api_key=1&auth_token=2&Secret=3", "redis://h/0?api_key=***&auth_token=***&Secret=***"),
        ("redis://h/0?empty=", "redis://h/0?empty="),
        ("redis+sentinel://u:p@a:1,b:2/main", "redis+sentinel://u:***@a:1,b:2/main"),
        ("sqlite:///a/b.db", "sqlite:///a/b.db"),
        ("memory://", "memory://"),
        ("jobs.db", "jobs.db"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url, shown):
    assert redact(url) == shown


def test_a_stores_own_options_are_taken_out_and_the_drivers_stay():
    url = "postgresql://me:p@db/x?wakeups=off&sslmode=require&empty="
    rest, own = split_options(url, {"wakeups": "on", "pool": "4"})
    assert rest == "postgresql://me:p@db/x?sslmode=require&empty="
    assert own == {"wakeups": "off", "pool": "4"}


def test_a_url_without_options_stays_as_it_is():
    assert split_options("sqlite:///jobs.db", {"wakeups": "on"}) == ("sqlite:///jobs.db", {"wakeups": "on"})


@pytest.mark.parametrize(("value", "on"), [("on", True), ("ON", True), ("off", False)])
def test_a_flag_is_on_or_off(value, on):
    assert flag({"wakeups": value}, "wakeups") is on


def test_any_other_flag_is_refused():
    with pytest.raises(ConfigError, match="wakeups='yes'"):
        flag({"wakeups": "yes"}, "wakeups")


@pytest.mark.parametrize("namespace", ["shop", "a", "A-1_b.c", "x" * 64])
def test_namespaces_that_every_store_can_carry(namespace):
    assert check_namespace(namespace) == namespace


@pytest.mark.parametrize("namespace", ["", "x" * 65, "a b", "ä", "a\n", "{a}", "a:b"])
def test_other_namespaces_are_refused(namespace):
    with pytest.raises(ConfigError, match="Rename it"):
        check_namespace(namespace)


def test_a_url_that_can_not_be_read_is_refused_without_its_password():
    assert "secret" not in redact("postgresql://user:secret@[host/database")
    with pytest.raises(ConfigError, match="can't be read") as refusal:
        split_options("postgresql://user:secret@[host/database", {})
    assert "secret" not in str(refusal.value)


def test_a_space_in_an_option_stays_one_for_libpq():
    assert split_options("postgresql:///x?options=-c%20a=b", {})[0] == "postgresql:///x?options=-c%20a%3Db"
