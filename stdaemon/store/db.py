"""The database: engine, migrations, transactions. SQLite in WAL mode unless a URL is given.

Transactions are begun by us, since Python's SQLite module leaves schema changes outside of them:
a migration that breaks off leaves the schema as it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.exc import DatabaseError, OperationalError

from trainer.errors import InternalError
from trainer.findings import finding

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
            event.listen(self.engine, "begin", _begin_sqlite)

    def open(self) -> None:
        """Check the database and bring its schema to the newest revision."""
        try:
            self._check()
            self.migrate()
        except CommandError as error:
            why = f"it was written by a newer version: {error}"
            raise self._unusable(why, "install that version again") from error
        except (DatabaseError, ReadOnly) as error:
            fix = "free space, or put a copy in its place; run directories are intact without it"
            raise self._unusable(str(getattr(error, "orig", error)), fix) from error

    def migrate(self, target: str = "head") -> None:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with self.write() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, target)

    def _check(self) -> None:
        if self.engine.dialect.name != "sqlite":
            return
        with self.read() as connection:
            found = connection.execute(text("PRAGMA quick_check(1)")).scalar()
        if found != "ok":
            fix = "put a copy in its place; run directories are intact without it"
            raise self._unusable(f"it is damaged: {found}", fix)

    def _unusable(self, why: str, fix: str) -> InternalError:
        place = self.engine.url.database or self.engine.url.render_as_string()
        message = "the daemon's database cannot be used"
        return InternalError(finding("RUN108", message, where=place, why=why, fix=fix))

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One snapshot: all queries of the block see the same state."""
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction, serialised in this process."""
        with self._write:
            try:
                with self.engine.connect().execution_options(immediate=True) as connection:
                    with connection.begin():
                        yield connection
            except OperationalError as error:
                if _cannot_write(error):
                    self.read_only = True
                    raise ReadOnly(str(error.orig)) from error
                raise
            self.read_only = False

    def probe(self) -> None:
        """Raise ReadOnly while the store cannot grow; clears `read_only` otherwise."""
        with self.write() as connection:
            connection.execute(text("CREATE TABLE probe (x INTEGER)"))
            connection.execute(text("DROP TABLE probe"))

    def close(self) -> None:
        self.engine.dispose()


def _cannot_write(error: OperationalError) -> bool:
    said = str(error.orig).lower()
    signs = ("full", "readonly", "read-only", "disk i/o", "unable to open")
    return any(sign in said for sign in signs)


def _begin_sqlite(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("immediate")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _tune_sqlite(connection: Any, record: Any) -> None:
    connection.isolation_level = None  # see _begin_sqlite
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA busy_timeout=10000")
    cursor.close()
