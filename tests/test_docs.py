"""The pages' Python examples run as they stand: each page in one namespace, top to bottom, in an empty directory."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = ["README.md", "docs/tutorial.md"]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: str) -> list[tuple[int, str]]:
    """The page's Python blocks, each with the line that it begins at."""
    text = (ROOT / page).read_text()
    return [(text[: match.start(1)].count("\n"), match[1]) for match in BLOCK.finditer(text)]


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_run(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    module = type(sys)("__main__")
    monkeypatch.setitem(sys.modules, "__main__", module)
    found = blocks(page)
    assert found
    for line, source in found:
        code = compile("\n" * line + source, str(ROOT / page), "exec")
        exec(code, module.__dict__)  # noqa: S102 - the documentation is ours
    assert "receipt 7 sent to a@example.org" in capsys.readouterr().out


def test_every_link_between_pages_leads_somewhere():
    for page in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"
