"""The database: engine, migrations, transactions. SQLite in WAL mode unless a URL is given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import OperationalError

MIGRATIONS = Path(__file__).with_name("migrations")


class ReadOnly(Exception):
    """The store cannot be written (full disk, lost mount); jobs keep running."""


class Database:
    """One writer at a time; `read_only` turns on when a write fails for lack of space."""

    def __init__(self, url: str) -> None:
        if url.startswith("sqlite:///"):
            Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        self.engine = create_engine(url, pool_size=16, max_overflow=32)
        self.read_only = False
        self._write = RLock()
        if self.engine.dialect.name == "sqlite":
            event.listen(self.engine, "connect", _tune_sqlite)

    def migrate(self) -> None:
        """Bring the schema to the newest revision."""
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with self.engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction, serialised in this process."""
        with self._write:
            try:
                with self.engine.begin() as connection:
                    yield connection
            except OperationalError as error:
                if _cannot_write(error):
                    self.read_only = True
                    raise ReadOnly(str(error.orig)) from error
                raise
            self.read_only = False

    def close(self) -> None:
        self.engine.dispose()


def _cannot_write(error: OperationalError) -> bool:
    text = str(error.orig).lower()
    return any(sign in text for sign in ("full", "readonly", "read-only", "disk i/o"))


def _tune_sqlite(connection: Any, record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA busy_timeout=10000")
    cursor.close()
