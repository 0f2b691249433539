"""Shipped presets: linted, explained line by line, and small enough for their card."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.full_size import SETTINGS, resident
from trainer import catalog
from trainer.config.lint import lint_file
from trainer.config.load import read_document
from trainer.config.presets import BUILT_IN, family_note, preset_info
from trainer.config.resolve import resolve
from trainer.findings import at_or_above

FILES = sorted(BUILT_IN.glob("*/*.toml"))
PRESETS = {
    f"{p.parent.name}/{p.stem}": p
    for p in FILES
    if p.name != "family.toml" and p.parent.name != "demo"
}
GIB = 2**30
PARAMETERS = {  # of the denoiser, by family or by flavour
    "sd1x": 0.86e9,
    "sd2x": 0.866e9,
    "sdxl": 2.57e9,
    "flux": 11.9e9,
    "sd3 medium": 2.47e9,
    "sd3 large": 8.15e9,
    "pixart": 0.91e9,
    "chroma": 8.9e9,
    "auraflow": 6.86e9,
    "cogview4": 6.37e9,
    "cosmos2": 1.96e9,
    "cosmos2 14b": 14.27e9,
    "hidream": 17.11e9,
    "stable_cascade": 3.589e9,
    "stable_cascade stage-c-lite": 1.031e9,
    "qwen_image": 20.43e9,
    "longcat_image": 6.27e9,
    "kandinsky5_image": 6.02e9,
    "kolors": 2.58e9,
    "deepfloyd": 0.4e9,
    "deepfloyd i-xlarge-4.3b": 4.31e9,
    "omnigen": 3.87e9,
    "flux2": 3.88e9,
    "flux2 klein-9b": 9.08e9,
    "flux2 dev": 32.22e9,
    "lumina2": 2.61e9,
    "sana": 1.61e9,
    "sana sana1.5-4.8b-1024": 4.73e9,
    "z_image": 6.16e9,
}

CONTROL_NETS = {  # parameters of a new control net of the usual size, counted on the meta device
    "sd1x": 0.361e9,
    "sdxl": 1.251e9,
    "flux": 2.953e9,
    "sd3 medium": 1.063e9,
}


@pytest.mark.parametrize("path", [p for p in FILES if p.name != "family.toml"], ids=str)
def test_lint_finds_nothing(path: Path) -> None:
    """Not even a warning; data is left to the user."""
    resolved = lint_file(path)
    assert resolved.config is not None
    assert at_or_above(resolved.findings, "warn") == []


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_with_data_is_a_job(name: str, tmp_path: Path) -> None:
    """By name, with one dataset, nothing else is needed."""
    text = f'preset = "{name}"\n[[data.datasets]]\nid = "mine"\npath = "."\n'
    if preset_info(name).mode == "controlnet":
        text += 'conditioning = [{ generate = "canny" }]\n'
    resolved = resolve(text, base_dir=tmp_path, env={})
    assert at_or_above(resolved.findings, "warn") == []
    assert resolved.config is not None
    assert resolved.config.model.family == name.split("/")[0]


EDITING = [
    (name, flavour)
    for name in PRESETS
    for flavour in catalog.family_facts(name.split("/")[0]).editing
]


@pytest.mark.parametrize(("name", "flavour"), EDITING)
def test_a_preset_with_pairs_is_an_editing_job(name: str, flavour: str, tmp_path: Path) -> None:
    """Nothing but the flavour and the two folders is needed, as the guide says."""
    text = (
        f'preset = "{name}"\nmodel.flavour = "{flavour}"\n'
        '[[data.datasets]]\nid = "after"\npath = "."\nconditioning = [{dataset = "before"}]\n'
        '[[data.datasets]]\nid = "before"\npath = "."\nrole = "conditioning"\n'
    )
    resolved = resolve(text, base_dir=tmp_path, env={})
    assert at_or_above(resolved.findings, "warn") == []


@pytest.mark.parametrize("name", PRESETS)
def test_the_name_tells_mode_and_memory(name: str) -> None:
    """`lora-24gb` is an adapter for 24 GB; title and notes are there."""
    info = preset_info(name)
    match = re.fullmatch(r"(lora|full|controlnet)-(\d+)gb", name.split("/")[1])
    assert match is not None
    assert info.mode == {"lora": "adapter"}.get(match[1], match[1])
    assert info.vram_gb == int(match[2])
    assert info.needs_data
    assert info.title
    assert info.notes


@pytest.mark.parametrize("name", PRESETS)
def test_every_choice_has_its_reason(name: str) -> None:
    """At most 40 lines, a comment on every value but the family, no data and no prompts."""
    text = PRESETS[name].read_text(encoding="utf-8")
    lines = text.splitlines()
    assert len(lines) <= 40
    assert lines[0].startswith("# ")
    section = ""
    for line in lines:
        if line.startswith("["):
            section = line.strip("[]")
        elif "=" in line and section != "preset" and not line.startswith("family ="):
            assert re.search(r"=.*\S\s+# \S", line), f"{name}: no reason on {line!r}"
    assert "datasets" not in text
    assert "prompts" not in text


@pytest.mark.parametrize("name", PRESETS)
def test_nothing_is_repeated(name: str) -> None:
    """A line that says what holds anyway would hide what the preset really decides."""
    document = read_document(PRESETS[name])
    text = document.text
    whole = resolve(PRESETS[name], env={}).config
    for path, line in document.lines.items():
        if path.startswith("preset") or path == "model.family" or path not in _leaves(document):
            continue
        rest = "".join(x for n, x in enumerate(text.splitlines(True), 1) if n != line)
        assert resolve(rest, env={}).config != whole, f"{name}: {path} changes nothing"


def _leaves(document) -> set[str]:
    from trainer.config.layers import leaves

    return {path for path, _ in leaves(document.data)}


@pytest.mark.parametrize("name", PRESETS)
def test_weights_gradients_and_states_fit(name: str) -> None:
    """With a tenth to spare for the driver, and at least 1.5 GiB for activations."""
    config = resolve(PRESETS[name], env={}).config
    assert config is not None
    family, flavour = config.model.family, config.model.flavour
    parameters = PARAMETERS.get(f"{family} {flavour}") or PARAMETERS[family]
    if config.model.mode == "full":
        assert config.optimizer.name == "adamw"
        needed = parameters * (4 + 4 + 8)  # fp32 weights, gradients, two moments
        needed += parameters * 4 * config.ema.enabled
        needed += parameters * 2  # bf16 copies within a step
    elif config.model.mode == "controlnet":
        own = CONTROL_NETS.get(f"{family} {flavour}") or CONTROL_NETS[family]
        # weights, gradients, two moments: in fp32, or all of it in bf16
        needed = parameters * 2 + own * {"adamw": 16 + 2, "adamw_bf16": 8}[config.optimizer.name]
    elif config.compute.quant.base is not None:
        model = f"{family} {flavour}" if f"{family} {flavour}" in SETTINGS else family
        quant = config.compute.quant
        needed = resident(model, quant.base, modulation=quant.modulation)
    else:
        needed = parameters * (4 if config.compute.precision.dtype == "fp32" else 2)
    available = (preset_info(name).vram_gb or 0) * 1e9
    assert needed + 1.5 * GIB <= 0.9 * available


@pytest.mark.parametrize("family", sorted(catalog.FAMILIES))
def test_every_family_introduces_itself(family: str) -> None:
    """Name, licence, needs and links; at least one preset."""
    note = family_note(family)
    assert note.name == catalog.family_facts(family).display_name
    assert note.licence
    assert note.needs.endswith(".")
    repositories = {f.repo for f in catalog.family_facts(family).flavours.values()}
    for link in note.links:
        assert link.removeprefix("https://huggingface.co/") in repositories
    assert any(name.startswith(f"{family}/") for name in PRESETS)


def test_the_example_of_the_readme_works(tmp_path: Path) -> None:
    """Pasted into a file beside a folder of pictures, it lints clean."""
    block = re.search(r"```toml\n(.*?)```", (BUILT_IN / "README.md").read_text(), re.DOTALL)
    assert block is not None
    (tmp_path / "pictures").mkdir()
    path = tmp_path / "job.toml"
    path.write_text(block[1])
    assert resolve(path, env={}).findings == []
