"""Generated reference pages are what the program would generate now (`make docs` renews them)."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = runpy.run_path(str(DOCS / "generate.py"))["PAGES"]


@pytest.mark.parametrize("name", PAGES)
def test_page_is_fresh(name: str) -> None:
    """A stale page fails; the remedy is `make docs`."""
    page = (DOCS / "reference" / name).read_text(encoding="utf-8")
    assert page == PAGES[name](), f"docs/reference/{name} is stale: run make docs"
