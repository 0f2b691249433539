"""A family is listed only when the whole suite runs on it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.conformance import CHECKS, checks_of, concerns, table
from tests.support.kinds import KINDS
from trainer.catalog import FAMILIES, family_facts

ROOT = Path(__file__).resolve().parents[2]
COLLECT = """
import json, pytest
from tests.support.conformance import checks_of
class Names:
    def pytest_collection_finish(self, session):
        found = sorted({pair for item in session.items for pair in checks_of(item)})
        print("FOUND", json.dumps(found))
pytest.main(["--collect-only", "-qq", "-m", "conformance", "tests/unit/trainer"], plugins=[Names()])
"""


@pytest.fixture(scope="module")
def shown() -> set[tuple[str, str]]:
    """Family and check of every test that is marked, as a run would collect them."""
    done = subprocess.run(
        [sys.executable, "-c", COLLECT], capture_output=True, text=True, cwd=ROOT, check=True
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("FOUND"))
    return {tuple(pair) for pair in json.loads(line.removeprefix("FOUND"))}


def test_every_family_has_every_check(shown: set[tuple[str, str]]) -> None:
    """No family of the catalogue without its tiny model, and none that a check passes over."""
    assert set(KINDS) == FAMILIES.keys()
    wanted = {
        (kind, check)
        for kind in FAMILIES
        for check in CHECKS
        if concerns(check, family_facts(kind))
    }
    assert shown == wanted


def test_the_table_shows_what_happened() -> None:
    """Numbers of passed tests; a failure hides behind no other result."""
    found = [
        ("a", "sign", "passed"),
        ("a", "sign", "passed"),
        ("b", "sign", "failed"),
        ("b", "sign", "passed"),
        ("b", "text", "skipped"),
    ]
    head, first, second = table(found)
    columns = head.split()
    assert first.split()[1 + columns.index("sign")] == "2"
    assert second.split()[1 + columns.index("sign")] == "FAILED"
    assert second.split()[1 + columns.index("text")] == "skip"
    assert first.split()[1 + columns.index("text")] == "–"


def test_a_test_without_a_kind_shows_nothing(request: pytest.FixtureRequest) -> None:
    """Such as this one."""
    assert checks_of(request.node) == []
