"""Which jobs a verb means: ids, unique prefixes, numbers, names, @last, @running, --where.

Plain references are resolved by the daemon; selectors and filters are resolved here, over the
list of jobs.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from sttui.cli.failure import CliError, usage
from sttui.cli.narrate import USAGE

if TYPE_CHECKING:
    from stdaemon.client.api import Client
    from stdaemon.wire.jobs import Job

ACTIVE = ("starting", "running", "stopping")
_CONDITION = re.compile(r"^\s*([\w.]+)\s*(!=|>=|<=|=|<|>|~)\s*(.*?)\s*$")


def select_ids(
    client: Client,
    refs: Sequence[str],
    *,
    where: str | None = None,
    ids_from: str | None = None,
) -> list[str]:
    """Ids of the jobs that are meant, without repetition; none at all is a usage error."""
    wanted = [*refs, *(_read_ids(ids_from) if ids_from else [])]
    found: list[str] = []
    for ref in wanted:
        found += _expand(client, ref)
    if where is not None:
        matches = parse_where(where)
        found += [job.id for job in client.all_jobs() if matches(job)]
    if not wanted and where is None:
        raise usage("name a job", fix="an id, its start, a name, @last, @running or --where")
    return list(dict.fromkeys(found))


def select_one(client: Client, ref: str) -> str:
    """Id of exactly one job."""
    ids = _expand(client, ref)
    if len(ids) == 1:
        return ids[0]
    from trainer.findings import finding

    if not ids:
        raise CliError(USAGE, finding("ENV111", f"{ref} matches no job", fix="see stune jobs"))
    raise CliError(
        USAGE,
        finding("ENV113", f"{ref} matches {len(ids)} jobs", fix=f"name one of {', '.join(ids)}"),
    )


def _expand(client: Client, ref: str) -> list[str]:
    if ref == "@last":
        from trainer.findings import finding

        page = client.jobs(limit=1)
        if not page.jobs:
            raise CliError(USAGE, finding("ENV111", "there is no job yet", fix="see stune submit"))
        return [page.jobs[0].id]
    if ref == "@running":
        return [job.id for job in client.all_jobs(state=ACTIVE)]
    if not ref.strip():
        raise usage("a job reference is empty", fix="an id, its start, a name or @last")
    if ref.startswith("@"):
        raise usage(f"unknown selector {ref!r}", fix="use @last or @running")
    return [client.job(ref).id]


def _read_ids(source: str) -> list[str]:
    if source != "-":
        raise usage(f"--ids-from {source!r} is not known", fix="use --ids-from - and pipe ids")
    return [word for line in sys.stdin for word in line.split()]


def parse_where(text: str) -> Callable[[Job], bool]:
    """`state=failed and name~flux` as a test of a job."""
    tests = [_condition(part) for part in re.split(r"\s+and\s+", text.strip())]
    return lambda job: all(test(job) for test in tests)


def _condition(text: str) -> Callable[[Job], bool]:
    from stdaemon.wire.jobs import Job

    match = _CONDITION.match(text)
    if match is None:
        raise usage(
            f"{text!r} is not a condition", fix="write for example state=failed and step>100"
        )
    name, op, value = match.groups()
    if name not in Job.model_fields:
        near = difflib.get_close_matches(name, Job.model_fields, n=1)
        fix = f"did you mean {near[0]}?" if near else f"fields: {', '.join(Job.model_fields)}"
        raise usage(f"jobs have no field {name!r}", fix=fix)
    return lambda job: _compare(getattr(job, name), op, value)


def _compare(have: Any, op: str, value: str) -> bool:
    if isinstance(have, list | tuple):
        found = value in map(str, have)
        return not found if op == "!=" else found
    if op in ("=", "!="):
        return (str(have) == value) == (op == "=")
    if op == "~":
        return value.lower() in str(have or "").lower()
    try:
        left, right = float(have), float(value)
    except (TypeError, ValueError):
        return False
    return {">": left > right, "<": left < right, ">=": left >= right, "<=": left <= right}[op]
