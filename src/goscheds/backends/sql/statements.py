"""SQL as text: the files ``portable.sql`` and each dialect's own, cut into named statements."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

_COMMENT = re.compile(r"--(?! name: )[^\n]*")
_FOLDER = Path(__file__).parent


def load(dialect: str, tokens: Mapping[str, str], parameter: str = r":\1") -> SimpleNamespace:
    """A dialect's statements, each an attribute; ``parameter`` is how its driver writes ``:name``.

    What its file names in braces are tokens, and stand for their text in the other statements, and in each other.
    """
    sections: dict[str, str] = {}
    for file in ("portable.sql", f"{dialect}/statements.sql"):
        text = _COMMENT.sub("", (_FOLDER / file).read_text(encoding="utf-8"))
        for section in text.split("-- name: ")[1:]:
            name, _, statement = section.partition("\n")
            sections[name.strip()] = statement.strip()
    tokens = {**{name[1:-1]: text for name, text in sections.items() if name.startswith("{")}, **tokens}
    return SimpleNamespace(**{name: render(statement, tokens, parameter) for name, statement in sections.items()})


def render(statement: str, tokens: Mapping[str, str], parameter: str = r":\1") -> str:
    """A statement as the dialect writes it, without its layout: psycopg parses what is longer than 4 kB each time."""
    while (done := re.sub(r"\{(\w+)\}", lambda token: tokens.get(token[1], token[0]), statement)) != statement:
        statement = done
    return re.sub(r"(?<!:):(\w+)", parameter, " ".join(statement.split()))


def script(dialect: str, version: int) -> list[str]:
    """The statements that lead to a version of the schema from the one before."""
    text = (_FOLDER / dialect / f"schema_{version}.sql").read_text(encoding="utf-8")
    return [statement.strip() for statement in _COMMENT.sub("", text).split(";") if statement.strip()]
