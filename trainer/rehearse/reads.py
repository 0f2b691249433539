"""Which keys of a job are read: noted at the sections themselves while a rehearsal runs (B04).

A key that was set and that nothing reads does nothing. Left out are keys that act only later in a
run than a rehearsal goes, and those that are handed on as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from trainer.config.layers import Origin, join, split
from trainer.config.schema.base import Section
from trainer.findings import Finding, finding

CHOSEN = ("file", "environment", "command line")  # layers that a user writes
LATER = {
    *("checkpoint.every_steps", "debug.log_every", "eval.every_steps"),
    *("validation.at_start", "validation.at_end", "validation.every_steps"),
    *("job.notes", "job.output_dir", "job.tags"),
}
AS_A_WHOLE = "optimizer.args."
DEFAULTS, DATASETS = "data.defaults.", "data.datasets["


class Reads:
    """Paths of the keys that were read of a watched configuration."""

    def __init__(self) -> None:
        self.paths: set[str] = set()
        self._places: dict[int, set[str]] = {}
        self._alive: list[Section] = []  # an id may not be given to another section

    def watch(self, section: Section, prefix: str = "") -> None:
        """Note what is read of this section and those below; one may stand in several places."""
        self._places.setdefault(id(section), set()).add(prefix)
        self._alive.append(section)
        for name, value in section.__dict__.items():
            for place, below in _sections(f"{prefix}{name}", value):
                self.watch(below, f"{place}.")

    def saw(self, section: Section, name: str, value: Any) -> None:
        """`name` was read; on the way to a section below, that says nothing yet."""
        if name in type(section).model_fields and not any(_sections(name, value)):
            self.paths.update(prefix + name for prefix in self._places.get(id(section), ()))

    def read(self, path: str) -> bool:
        """Whether the key, or a table of free names that it stands in, was read."""
        parts = split(path)
        return any(join(parts[:end]) in self.paths for end in range(1, len(parts) + 1))


def _sections(path: str, value: Any) -> Iterator[tuple[str, Section]]:
    if isinstance(value, Section):
        yield path, value
    elif isinstance(value, list):
        numbered = enumerate(value)
        yield from ((f"{path}[{n}]", one) for n, one in numbered if isinstance(one, Section))


@contextmanager
def recording() -> Iterator[Reads]:
    """Within the block every access to a field of a watched section is noted."""
    reads = Reads()
    plain: Any = Section.__getattribute__

    def noted(self: Section, name: str) -> Any:
        value = plain(self, name)
        if not name.startswith(("_", "model_")):  # of Python and of pydantic
            reads.saw(self, name, value)
        return value

    Section.__getattribute__ = noted  # type: ignore[method-assign]
    try:
        yield reads
    finally:
        del Section.__getattribute__


def unread(origins: Mapping[str, Origin], reads: Reads) -> list[str]:
    """Keys that the user set and nothing read."""
    chosen = [path for path, origin in origins.items() if origin.layer in CHOSEN]
    return [path for path in chosen if not _used(path, reads)]


def _used(path: str, reads: Reads) -> bool:
    if path in LATER or path.startswith(AS_A_WHOLE) or reads.read(path):
        return True
    if not path.startswith(DEFAULTS):
        return False
    ending = path.removeprefix(DEFAULTS)  # a dataset with a section of its own took it over
    return any(p.startswith(DATASETS) and p.endswith(f"].{ending}") for p in reads.paths)


def remark(paths: list[str]) -> Finding:
    """RUN035."""
    return finding(
        "RUN035",
        f"nothing reads {', '.join(paths)}",
        where=paths[0],
        why="the whole way of the run was gone, and with the other settings they change nothing",
        fix="remove them, or set what they belong to",
        level="warn",
        keys=paths,
    )
