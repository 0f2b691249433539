"""Schema, migrations, and databases that cannot be used."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from stdaemon.store.db import Database
from stdaemon.store.tables import metadata
from trainer.errors import InternalError


def database(folder: Path) -> Database:
    return Database(f"sqlite:///{folder / 'daemon.db'}")


def test_migrations_lead_to_the_tables_of_the_code(tmp_path: Path) -> None:
    """A column without a migration, or the other way round, is found here."""
    db = database(tmp_path)
    db.open()
    with db.read() as reader:
        assert compare_metadata(MigrationContext.configure(reader), metadata) == []


def test_jobs_survive_an_upgrade(tmp_path: Path) -> None:
    """A database of the first revision keeps its jobs when it is opened."""
    db = database(tmp_path)
    db.migrate("0001")
    with db.write() as writer:
        columns = {
            row[1]: (row[2], row[3]) for row in writer.execute(text("PRAGMA table_info(job)"))
        }
        values = {
            name: "[]" if kind == "JSON" else "1"
            for name, (kind, needed) in columns.items()
            if needed
        }
        names = ", ".join(f'"{n}"' for n in values)
        marks = ", ".join(f":{n}" for n in values)
        writer.execute(text(f"INSERT INTO job ({names}) VALUES ({marks})"), values)
    db.open()
    with db.read() as reader:
        assert reader.execute(text("SELECT count(*) FROM job")).scalar() == 1
        assert reader.execute(text("SELECT version_num FROM alembic_version")).scalar() == "0002"


def test_a_migration_that_breaks_off_leaves_no_trace(tmp_path: Path, monkeypatch) -> None:
    """Schema changes are part of the transaction: the next start can try again."""
    from alembic.operations import Operations

    db = database(tmp_path)
    db.migrate("0001")
    real = Operations.create_index

    def broken(self, name, *args, **fields):
        raise RuntimeError("power cut")

    monkeypatch.setattr(Operations, "create_index", broken)
    with pytest.raises(RuntimeError):
        db.migrate()
    monkeypatch.setattr(Operations, "create_index", real)
    with db.read() as reader:
        found = reader.execute(text("PRAGMA table_info(request)")).all()
    assert "scope" not in [row[1] for row in found]
    db.open()


@pytest.mark.parametrize("damage", ["garbage", "page"])
def test_a_damaged_database_is_a_finding(tmp_path: Path, damage: str) -> None:
    """Not a database at all, or one with a broken page: said at the start, with what to do."""
    path = tmp_path / "daemon.db"
    if damage == "garbage":
        path.write_bytes(b"no database" * 1000)
    else:
        db = database(tmp_path)
        db.open()
        db.close()
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        data = bytearray(path.read_bytes())
        data[8192:12288] = b"\xff" * 4096
        path.write_bytes(data)
    with pytest.raises(InternalError) as refused:
        database(tmp_path).open()
    assert refused.value.finding.code == "RUN108"
    assert "run directories are intact" in refused.value.finding.fix


def test_a_newer_database_is_a_finding(tmp_path: Path) -> None:
    """Written by a newer version: refused, and left as it is."""
    db = database(tmp_path)
    db.open()
    with db.write() as writer:
        writer.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(InternalError) as refused:
        database(tmp_path).open()
    assert "newer version" in refused.value.finding.why
    with db.read() as reader:
        assert reader.execute(text("SELECT version_num FROM alembic_version")).scalar() == "9999"


def test_a_read_is_one_snapshot(tmp_path: Path) -> None:
    """Two queries of one reader agree although a writer commits in between."""
    db = database(tmp_path)
    db.open()
    count = text("SELECT count(*) FROM event")
    with db.read() as reader:
        before = reader.execute(count).scalar()
        with db.write() as writer:
            writer.execute(text("INSERT INTO event (ts, kind, data) VALUES (1, 'x', '{}')"))
        assert reader.execute(count).scalar() == before
    with db.read() as reader:
        assert reader.execute(count).scalar() == before + 1
