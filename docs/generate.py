"""Write the generated pages of docs/reference (`make docs`); a test fails when one is stale."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sttui.cli.reference import markdown as cli_page
from trainer.findings import CODES

REFERENCE = Path(__file__).resolve().parent / "reference"


def findings_page() -> str:
    head = (
        "# Findings\n\nGenerated from `trainer/findings.py` by `make docs`; do not edit.\n\n"
        "Every check reports findings: what, where, why, how to mend it. `stune explain CODE` "
        "prints one entry.\n\n| Code | Meaning |\n|---|---|\n"
    )
    return head + "".join(f"| {code} | {text} |\n" for code, text in sorted(CODES.items()))


PAGES: dict[str, Callable[[], str]] = {"cli.md": cli_page, "findings.md": findings_page}


def main() -> None:
    REFERENCE.mkdir(exist_ok=True)
    for name, render in PAGES.items():
        (REFERENCE / name).write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main()
