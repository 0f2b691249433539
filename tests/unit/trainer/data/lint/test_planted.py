"""A set with planted defects (beyond.md B14): all exact ones are found, and little else."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.unit.trainer.data.lint.looking import flagged, job, linted
from tests.unit.trainer.data.lint.planted import EXACT, plant
from trainer.findings import Finding

PRECISION = 0.95
LOOSE_RECALL = 0.95


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> tuple[dict[str, set[str]], dict[str, set[str]], list[Finding]]:
    """(planted, flagged, findings) of one set."""
    root = tmp_path_factory.mktemp("planted") / "set"
    planted = plant(root)
    datasets = (
        {
            "id": "train",
            "path": str(root / "train"),
            "conditioning": [{"dataset": "masks"}],
        },
        {"id": "held", "path": str(root / "held-out"), "role": "eval"},
        {
            "id": "masks",
            "path": str(root / "masks"),
            "role": "mask",
        },
    )
    document, findings = linted(job(root.parent / "job.json", *datasets), resolution=None)
    return planted, flagged(document, findings), findings


def test_every_exact_defect_is_found(found) -> None:
    """Recall 100 % for the classes that leave no doubt."""
    planted, flags, _ = found
    missed = {code: planted[code] - flags.get(code, set()) for code in EXACT}
    assert {code: names for code, names in missed.items() if names} == {}


def test_defects_of_degree_are_found(found) -> None:
    """Blur, darkness, bars, JPEG damage, near copies: at least 95 % of each."""
    planted, flags, _ = found
    for code in planted.keys() - set(EXACT):
        share = len(planted[code] & flags.get(code, set())) / len(planted[code])
        assert share >= LOOSE_RECALL, (code, planted[code] - flags.get(code, set()))


def test_little_else_is_flagged(found) -> None:
    """Precision over all remarks, with the pictures outside the pairing told as unpaired."""
    planted, flags, _ = found
    unpaired = {n for n in flags["DAT018"] if not n.startswith("fine-")}
    wrong = {
        (code, name)
        for code, names in flags.items()
        for name in names - planted.get(code, set())
        if not (code == "DAT018" and name in unpaired)
    }
    right = sum(len(names & planted.get(code, set())) for code, names in flags.items())
    assert right / (right + len(wrong)) >= PRECISION, sorted(wrong)


def test_findings_say_why_and_what_to_do(found) -> None:
    """One finding for each dataset and code, with a count, a first name, reason and remedy."""
    _, flags, findings = found
    for code in flags.keys() - {"DAT003", "DAT006", "DAT007"}:
        own = [f for f in findings if f.code == code]
        assert sum(f.evidence["count"] for f in own) >= len(flags[code])
        for finding in own:
            assert finding.why
            assert finding.fix
            assert finding.evidence["files"][0]["path"] in finding.message


def test_sources_are_never_changed(tmp_path: Path) -> None:
    """Neither lint nor --fix writes into the dataset: same names, same bytes, same times."""
    plant(tmp_path / "set")
    folder = tmp_path / "set" / "train"

    def state() -> dict[str, tuple[str, int]]:
        return {
            str(p): (hashlib.sha256(p.read_bytes()).hexdigest(), p.stat().st_mtime_ns)
            for p in sorted(folder.rglob("*"))
        }

    before = state()
    document, _ = linted(folder, fix=True, exclude=["DAT078"])
    assert document["overlays"][0]["excluded"] > 20
    assert state() == before
