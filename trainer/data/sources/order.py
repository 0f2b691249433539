"""Rows of any number in the order of their names, without holding them in memory.

Names that come in order already, as those of most tables do, cost one comparison each. Others are
sorted by SQLite in a temporary database on disk; it compares UTF-8 bytes, which is the order of
Python's text.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import groupby, islice
from operator import itemgetter
from typing import Any

CHUNK = 10_000

Row = tuple[Any, ...]  # name, number of the row, and what else is kept of it: texts and numbers


def in_order(rows: Callable[[], Iterable[Row]]) -> Iterator[tuple[str, list[Row]]]:
    """Each name with its rows, in order; `rows` begins the pass over all of them anew."""
    ordered = rows() if _ordered(rows()) else sorted_on_disk(rows())
    for name, same in groupby(ordered, itemgetter(0)):
        yield name, list(same)


def _ordered(rows: Iterable[Row]) -> bool:
    last = ""
    for row in rows:
        if row[0] < last:
            return False
        last = row[0]
    return True


def sorted_on_disk(rows: Iterable[Row]) -> Iterator[Row]:
    """Rows, all of one length, by name and number."""
    rest = iter(rows)
    chunk = list(islice(rest, CHUNK))
    if not chunk:
        return
    columns = [f"c{n}" for n in range(len(chunk[0]))]
    marks = ", ".join("?" * len(columns))
    with closing(sqlite3.connect("", isolation_level=None)) as db:  # "": a file that nobody sees
        db.execute(f"CREATE TABLE row ({', '.join(columns)})")
        db.execute("BEGIN")
        while chunk:
            db.executemany(f"INSERT INTO row VALUES ({marks})", chunk)
            chunk = list(islice(rest, CHUNK))
        db.execute("COMMIT")
        yield from db.execute("SELECT * FROM row ORDER BY c0, c1")
