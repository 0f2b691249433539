"""Did you mean: the right key for nearly every typo, and the names of other trainers."""

from __future__ import annotations

import pytest

from trainer.config.aliases import ALIASES
from trainer.config.keys import all_keys, children
from trainer.config.problems import candidates_for
from trainer.config.resolve import resolve
from trainer.config.suggest import distance, nearest

JOB = '[model]\nfamily = "flux"\n'


def typos(name: str, taken: list[str]) -> list[str]:
    """Three slips of the fingers: neighbours swapped, a letter doubled, a letter lost."""
    at = len(name) // 2
    swapped = name[: at - 1] + name[at] + name[at - 1] + name[at + 1 :] if at else ""
    doubled = name[: at + 1] + name[at:]
    lost = name[:at] + name[at + 1 :]
    slips = [s for s in (swapped, doubled, lost, f"{name}s", f"{name}_") if s and s != name]
    return [s for s in dict.fromkeys(slips) if s not in taken][:3]


def test_three_typos_of_every_key_lead_back_to_it() -> None:
    """B04 acceptance 1: the first suggestion is right for 95 % or more."""
    wrong, total = [], 0
    for path in all_keys():
        section, _, name = path.rpartition(".")
        made = typos(name, children(section))
        assert len(made) == 3, path
        for typo in made:
            total += 1
            found = candidates_for(section, typo)
            if not found or found[0] != path:
                wrong.append((section, typo, found))
    assert total >= 300
    assert len(wrong) / total <= 0.05, wrong


def test_no_more_than_three_candidates() -> None:
    """A list of everything helps nobody."""
    for path in all_keys():
        section, _, name = path.rpartition(".")
        assert len(candidates_for(section, f"{name}x")) <= 3


@pytest.mark.parametrize("alias", sorted(ALIASES))
def test_names_of_other_trainers_are_known(alias: str) -> None:
    """Wherever such a name is written, our key is among the candidates; every target exists."""
    assert ALIASES[alias] in all_keys()
    assert ALIASES[alias] in candidates_for("", alias)
    assert ALIASES[alias] in candidates_for("train", alias.replace("_", "-"))


def test_a_key_in_the_wrong_section_is_found_in_the_right_one() -> None:
    """`[train] rank` is a rank of adapters."""
    assert candidates_for("train", "rank") == ["adapter.rank"]
    assert candidates_for("", "lr") == ["optimizer.lr"]


def test_nonsense_gets_no_suggestion() -> None:
    """A suggestion that is far off is worse than the list of what exists."""
    assert candidates_for("train", "xylophone") == []
    found = resolve("[train]\nxylophone = 1\n" + JOB, env={}).findings[0]
    assert "known there: steps, epochs, batch_size, accumulate" in found.fix


def test_every_unknown_key_is_told_once_with_its_line() -> None:
    """A wrong section is one mistake, however many keys it holds; items of lists are checked."""
    text = (
        JOB + "[optimzer]\nlr = 1e-4\nname = 'adamw'\n"
        "[[data.datasets]]\nid = 'a'\npath = '.'\nresolutoin = 512\ncaption.sorce = 'x'\n"
    )
    found = [f for f in resolve(text, env={}).findings if f.code == "CFG004"]
    assert [(f.evidence["key"], f.where) for f in found] == [
        ("optimzer", "<text>:3"),
        ("data.datasets[0].resolutoin", "<text>:9"),
        ("data.datasets[0].caption.sorce", "<text>:10"),
    ]
    assert found[1].evidence["candidates"][0] == "data.datasets[0].resolution"


def test_an_unknown_key_does_not_hide_other_problems() -> None:
    """Everything is told at once."""
    found = {f.code for f in resolve(JOB + "[train]\nstesp = 1\nbatch_size = 0\n", env={}).findings}
    assert {"CFG004", "CFG006"} <= found


@pytest.mark.parametrize(
    ("a", "b", "edits"), [("", "ab", 2), ("steps", "stesp", 1), ("abc", "abc", 0), ("lr", "rl", 1)]
)
def test_edit_distance_counts_a_swap_once(a: str, b: str, edits: int) -> None:
    """Optimal string alignment."""
    assert distance(a, b) == edits


def test_an_exact_name_stands_alone() -> None:
    """Case and dashes do not matter, and then there is nothing to choose between."""
    assert nearest("Batch-Size", ["batch_size", "batch_sizes"]) == ["batch_size"]
