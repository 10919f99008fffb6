"""`backup`, `check`, `migrate`, `info` and `demo`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import apsw
import pytest

if TYPE_CHECKING:
    from conftest import Run

OLD = Path(__file__).parents[1] / "migrations" / "stored" / "sqlite_1_1.sql"


@pytest.fixture
def old(folder: Path) -> Path:
    """Make a database as the first version wrote it."""
    path = folder / "conversations.db"
    connection = apsw.Connection(str(path))
    connection.execute(OLD.read_text(encoding="utf-8")).fetchall()
    connection.close()
    return path


def test_backup(run: Run, database: Path) -> None:
    """The copy has everything; a file that is there is replaced only if that is asked for."""
    assert run("backup", "copy.db").exit_code == 0
    refused = run("backup", "copy.db")
    assert refused.exit_code == 1
    assert "--overwrite" in refused.stderr
    report = json.loads(run("backup", "copy.db", "--overwrite", "--json").stdout)
    assert report == {"file": "copy.db", "bytes": Path("copy.db").stat().st_size}
    assert run("list", "--database", "copy.db").stdout == run("list").stdout


def test_check_of_a_sound_database(run: Run, database: Path) -> None:
    """Prints nothing but that."""
    result = run("check")

    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "no damage found\n")
    assert json.loads(run("check", "--json").stdout) == {"is_ok": True, "problems": []}


def test_check_of_a_damaged_database(run: Run, database: Path) -> None:
    """Prints the problems, with exit code 1."""
    connection = apsw.Connection(str(database))
    connection.execute("PRAGMA writable_schema = ON").fetchall()
    connection.execute(
        "UPDATE sqlite_schema SET sql = replace(sql, 'response_time', 'response_tine') "
        "WHERE type = 'index' AND sql IS NOT NULL"
    ).fetchall()
    page = int(connection.execute("SELECT max(rootpage) FROM sqlite_schema WHERE type = 'index'").get)
    size = int(connection.pragma("page_size"))
    connection.close()
    content = bytearray(database.read_bytes())
    content[(page - 1) * size + 100 : page * size] = b"\xff" * (size - 100)
    database.write_bytes(content)

    result = run("check")

    assert result.exit_code == 1
    assert (result.stdout + result.stderr).strip()


def test_migrate(run: Run, old: Path) -> None:
    """Prints what every table came from, and what it is now."""
    changes = json.loads(run("migrate", "--json").stdout)["schemas"]
    again = run("migrate")

    assert changes[0]["schema"] == "database"
    assert {each["before"] for each in changes} == {1}
    assert all(each["before"] <= each["after"] for each in changes)
    assert again.stderr == "everything was up to date\n"
    assert {line.split("\t")[0] for line in again.stdout.splitlines()} == {"schemas"}


def test_info(run: Run, database: Path) -> None:
    """Versions, the place, and what is in it."""
    facts = json.loads(run("info", "--json").stdout)

    assert facts["database"] == f"sqlite:///{database}"
    assert facts["bytes"] == database.stat().st_size
    assert facts["sqlite"].startswith("3.")
    assert "dev" not in facts["extras"]
    conversations, sessions = facts["tables"]
    assert (conversations["conversations"], conversations["exchanges"]) == (3, 7)
    assert sessions["sessions"] == 4
    assert "sqlite\t3." in run("info").stdout


def test_info_changes_nothing(run: Run, old: Path) -> None:
    """A database of an older version is described, and stays as it is."""
    before = old.read_bytes()
    facts = json.loads(run("info", "--json").stdout)

    assert facts["schema"] < facts["newest_schema"]
    assert "exchanges" not in facts["tables"][0]
    assert old.read_bytes()[100:] == before[100:]


def test_info_without_a_database(run: Run, folder: Path) -> None:
    """It says that there is none, and makes none."""
    assert json.loads(run("info", "--json").stdout)["exists"] is False
    assert list(folder.iterdir()) == []


def test_demo(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes a new file, whatever the environment names, with conversations, branches and sessions."""
    monkeypatch.setenv("NANOBRAIN_DATABASE_URL", "mine.db")
    result = run("demo")
    again = run("demo")

    assert result.exit_code == 0
    assert [each.name for each in folder.iterdir()] == ["nanobrain-demo.db"]
    assert again.exit_code == 1
    assert "exists" in again.stderr
    tried = [line.split() for line in result.stderr.splitlines() if line.startswith("  nanobrain-data")]
    assert len(tried) == 3
    for words in tried:
        assert run(*words[1:]).stdout
    facts = json.loads(run("info", "--json", "--database", "nanobrain-demo.db").stdout)
    assert facts["tables"][0]["conversations"] >= 24
    assert (
        len(json.loads(run("show", "trip/lisbon", "--json", "--database", "nanobrain-demo.db").stdout)) == 4
    )


def test_demo_elsewhere(run: Run, folder: Path) -> None:
    """In a file, and not in memory; where the folder is not there, nothing is left."""
    facts = json.loads(run("demo", "--database", "try.db", "--json").stdout)

    assert facts["exchanges"] > 50
    assert run("demo", "--database", "sqlite:///:memory:").exit_code == 1
    assert run("demo", "--database", "no/such/try.db").exit_code == 1
    assert [each.name for each in folder.iterdir()] == ["try.db"]
