"""Write the generated pages of docs/reference (`make docs`); a test fails when one is stale."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from docs.families import families_page
from sttui.cli.reference import markdown as cli_page
from sttui.tui.keys import document as keys_page
from trainer.config.docs import PAGES as config_pages

REFERENCE = Path(__file__).resolve().parent / "reference"


PAGES: dict[str, Callable[[], str]] = {
    "cli.md": cli_page,
    "families.md": families_page,
    "keys.md": keys_page,
    **config_pages,
}


def main() -> None:
    REFERENCE.mkdir(exist_ok=True)
    for name, render in PAGES.items():
        (REFERENCE / name).write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main()
