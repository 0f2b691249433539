"""Captions of table rows by row number, in a temporary database on disk.

Text of a single row cannot be read from most tables. So the first question for a caption reads
them all once; starts at which nothing changed ask for none.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable
from itertools import islice

CHUNK = 10_000

Texts = Callable[[], Iterable[tuple[int, str | None]]]  # row, captions


class Spool:
    """The captions that `texts` gives, read when they are first asked for."""

    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        self._lock = threading.Lock()
        self._made: sqlite3.Connection | None = None

    def get(self, row: int) -> str | None:
        with self._lock:
            if self._made is None:
                self._made = self._fill()
            found = self._made.execute("SELECT text FROM spool WHERE row = ?", (row,)).fetchone()
        return found and found[0]

    def close(self) -> None:
        with self._lock:
            if self._made is not None:
                self._made.close()
            self._made = None

    def _fill(self) -> sqlite3.Connection:
        db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        try:
            db.execute("CREATE TABLE spool (row INTEGER PRIMARY KEY, text TEXT)")
            rest = iter(self._texts())
            db.execute("BEGIN")
            while chunk := list(islice(rest, CHUNK)):
                db.executemany("INSERT INTO spool VALUES (?, ?)", chunk)
            db.execute("COMMIT")
        except BaseException:
            db.close()
            raise
        return db
