"""Wrong types, bounds and choices: told with what is allowed, and with what was meant."""

from __future__ import annotations

from typing import Any

import pytest

from trainer.config.keys import leaf_keys
from trainer.config.resolve import resolve
from trainer.config.units import parse_resolution, steps_of
from trainer.findings import Finding

JOB = 'model.family = "flux"\n'


def refused(line: str) -> Finding:
    """The one finding about a bad value."""
    found = [f for f in resolve(f"{line}\n{JOB}", env={}).findings if f.code == "CFG006"]
    assert len(found) == 1, found
    assert found[0].where == "<text>:1"
    return found[0]


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ('train.steps = "100"', 100),
        ("train.batch_size = 2.0", 2),
        ('optimizer.lr = "1e-4"', 1e-4),
        ('ema.enabled = "yes"', True),
        ('ema.enabled = "False"', False),
        ('validation.prompts = "a cat"', ["a cat"]),
        ("data.background = 123456", "123456"),
        ('compute.device = "CUDA"', "cuda"),
        ('compute.device = "gpu"', "cpu"),
        ('schedule.name = "cosin"', "cosine"),
        ('loss.kind = "hubber"', "huber"),
        ('noise.shift = "3"', 3.0),
        ('noise.shift = "atuo"', "auto"),
        ('adapter.formats = "comfyui"', ["comfyui"]),
    ],
)
def test_the_value_that_was_meant_is_offered(line: str, meant: Any) -> None:
    """As a patch that `fix` can apply."""
    patch = refused(line).patch
    assert patch is not None
    assert list(patch.values()) == [meant]
    assert type(next(iter(patch.values()))) is type(meant)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("train.steps = 0", "at least 1"),
        ("adapter.dropout = 1.5", "less than 1"),
        ("train.steps = true", "a whole number"),
        ("train = 3", "a table with the keys steps, epochs"),
        ('train.steps = "many"', "a whole number"),
        ('adapter.init = "xavier"', "allowed: default, gaussian"),
        ('data.defaults.resolution = "big"', "1024px2"),
        ('schedule.warmup = "lots"', "a share such as 0.05 or 5%"),
        ("optimizer.args.betas = [0.9]", "a pair of numbers"),
        ('data.background = "white"', "a text"),
    ],
)
def test_what_is_allowed_is_told(line: str, said: str) -> None:
    """Type and bounds in words, without a patch where nothing is clear."""
    found = refused(line)
    assert said in found.fix
    assert found.patch is None
    assert found.why


NEAR = ("adapter.formats",)  # a list


def test_a_typo_of_every_choice_leads_back_to_it() -> None:
    """The first suggestion for a swapped pair of letters is the choice itself."""
    for path, key in leaf_keys().items():
        if "[]" in path:
            continue
        for choice in map(str, key.choices):
            if len(choice) < 4 or path in NEAR:
                continue
            typo = choice[:1] + choice[2] + choice[1] + choice[3:]
            if typo == choice:
                continue
            line = f'{path} = "{typo}"'
            assert refused(line).patch == {path: choice}


def test_missing_keys_are_told_where_they_belong() -> None:
    """The family of a model, the id of a dataset."""
    assert "family = one of " in resolve("[job]\nseed = 1\n", env={}).findings[0].fix
    found = resolve(JOB + "[[data.datasets]]\nid = 'a'\n", env={}).findings
    assert [f.where for f in found if f.code == "CFG180"] == ["<text>:3"]


@pytest.mark.parametrize(
    ("text", "area", "edge"),
    [("1024px2", 1048576, None), ("1.5mp", 1500000, None), (" 768px ", None, 768)],
)
def test_resolutions_have_units(text: str, area: int | None, edge: int | None) -> None:
    """An area, or a short edge; a plain number means an area."""
    size = parse_resolution(text)
    assert (size.area, size.edge) == (area, edge)
    config = resolve("data.defaults.resolution = 512\n" + JOB, env={}).config
    assert config is not None
    assert config.data.defaults.resolution == "512px2"


@pytest.mark.parametrize(
    "text", ["0px", "-3px", "1024", "px", "1024 pixels", "1e3px", "9" * 400 + "mp"]
)
def test_bad_resolutions_are_refused(text: str) -> None:
    """No unit, no sense."""
    with pytest.raises(ValueError, match=r"resolution|as large"):
        parse_resolution(text)


@pytest.mark.parametrize(("value", "steps"), [('"5%"', 50), ("0.05", 50), ("7", 7), ("0", 0)])
def test_warm_up_is_a_count_or_a_share(value: str, steps: int) -> None:
    """Of the whole run."""
    config = resolve(f"schedule.warmup = {value}\n" + JOB, env={}).config
    assert config is not None
    assert steps_of(config.schedule.warmup, 1000) == steps


def test_false_turns_clipping_off() -> None:
    """There is no magic number for off."""
    config = resolve("optimizer.clip = false\n" + JOB, env={}).config
    assert config is not None
    assert config.optimizer.clip is None
