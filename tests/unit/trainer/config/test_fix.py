"""`fix`: mechanical patches that keep comments and order, and end after one call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.config.fix import apply_patch
from trainer.config.lint import fix_file
from trainer.config.resolve import resolve

BROKEN = """# my job
[model]          # what to train
family = "fluxx" # nearly

# how long
[train]
stesp = "100"      # a hundred
learning_rate = 1e-4   # the usual
# the end of train

[noise]
sigmoid_scale = 2.0  # leave me
beta.alpha = 3.0

[[data.datasets]]
# my pictures
id = "a"
pth = "."          # here
leftover = "crry"
crop.positon = "center"
"""
FIXED = """# my job
[model]          # what to train
family = "flux" # nearly

# how long
[train]
steps = 100      # a hundred
# the end of train

[noise]
sigmoid_scale = 2.0  # leave me

[[data.datasets]]
# my pictures
id = "a"
path = "."          # here
leftover = "carry"
crop.position = "center"

[optimizer]
lr = 1e-4   # the usual
"""


def fixed(folder: Path, text: str) -> str:
    path = folder / "job.toml"
    path.write_text(text)
    return fix_file(path)[1]


def test_comments_and_order_are_kept(tmp_path: Path) -> None:
    """Also where one mistake hides behind another, and where a key moves to its own section."""
    assert fixed(tmp_path, BROKEN) == FIXED
    assert [f.code for f in resolve(FIXED, base_dir=tmp_path, env={}).findings] == []


def test_twice_equals_once(tmp_path: Path) -> None:
    """B04 acceptance 7."""
    once = fixed(tmp_path, BROKEN)
    assert fixed(tmp_path, once) == once


LINES = st.sampled_from(
    [
        'model.famly = "flux"',
        'model.family = "sdlx"',
        'train.steps = "5" # five',
        "train.stesp = 7",
        "train.epochs = 1.0",
        "max_train_steps = 3",
        'optimizer.name = "adam"',
        "optimizer.args.d_coef = 1.0 # no",
        "noise.shift = 2.0",
        "loss.snr.gamma = 5",
        'schedule.name = "cosin"',
        "schedule.power = 2.0",
        "ema.enabled = 'yes'",
        "adapter.rnk = 3",
        "# only a comment",
        "lora_alpha = 8 # scale",
        "validation.prompts = 'a cat'",
    ]
)


@settings(deadline=None, max_examples=60)
@given(st.lists(LINES, unique=True, max_size=9))
def test_any_mixture_of_mistakes_is_stable_after_one_call(lines: list[str]) -> None:
    """The result parses, a second call changes nothing, comments on kept lines survive."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        text = "\n".join(lines) + "\nunknown_thing = 1\n"
        once = fixed(Path(folder), text)
        assert fixed(Path(folder), once) == once
        if "# only a comment" in lines:
            assert "# only a comment" in once
        if "steps" in once and "# five" in text:
            assert "# five" in once


def test_two_wrong_names_for_one_key(tmp_path: Path) -> None:
    """The first gets the name; the second is left for the user to decide."""
    assert fixed(tmp_path, "[train]\nstesp = 1\nstpes = 2\n") == "[train]\nsteps = 1\nstpes = 2\n"


def test_other_formats_are_left_alone(tmp_path: Path) -> None:
    """YAML and JSON lose their comments and layout when written, so they are not."""
    path = tmp_path / "job.yaml"
    path.write_text("model:\n  famly: flux\n")
    assert fix_file(path) == (path.read_text(), path.read_text(), [])


@pytest.mark.parametrize(
    ("text", "patch", "expected"),
    [
        ("[a]\nb = 1 # x\n", {"a.b": 2}, "[a]\nb = 2 # x\n"),
        ("[a]\nb = 1\n", {"a.b": None}, ""),
        ("[a]\n# why\nb = 1\n", {"a.b": None}, "[a]\n# why\n"),
        ("[a]\nb = 1\n", {"c.d": None}, "[a]\nb = 1\n"),
        ("[a]\nb.c = 1\n", {"a.b.c": None}, ""),
        ("a = [{b = 1, c = 2}]\n", {"a[0].b": None}, "a = [{ c = 2}]\n"),
        ("a = [1, 2]\n", {"a[1]": 3}, "a = [1, 3]\n"),
        ("", {"a.b": 1}, "[a]\nb = 1\n"),
        ("[old]\nb = 1\n", {"old": None, "new": {"b": 1}}, "[new]\nb = 1\n"),
        ("[[x.old]]\nb = 1\n", {"x.old": None, "x.new": []}, "[[x.new]]\nb = 1\n"),
        ('"old" = 1\n', {"old": None, "new": 1}, '"new" = 1\n'),
    ],
)
def test_patches(text: str, patch: dict[str, Any], expected: str) -> None:
    """Set, remove, rename; tables appear when needed and vanish when nothing is left."""
    assert apply_patch(text, patch).strip() == expected.strip()
