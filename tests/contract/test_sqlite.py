"""The law on SQLite."""

from pathlib import Path

import pytest

from goscheds.contract import Contract


class TestSQLite(Contract):
    @pytest.fixture
    def store_url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path}/jobs.db"

    @pytest.fixture
    def unreachable_url(self, tmp_path: Path) -> str:
        (tmp_path / "file").touch()
        return f"sqlite:///{tmp_path}/file/jobs.db"
