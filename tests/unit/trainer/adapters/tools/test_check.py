"""Faults put into a file are all reported; what inspect shows is what is in the file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from tests.support.adapter_files import lora, noise, written
from trainer.adapters.tools.check import check
from trainer.adapters.tools.inspect import inspect
from trainer.adapters.tools.record import DOWN, UP, Adapter, Part
from trainer.adapters.tools.write import named


def found(tmp_path, tensors, metadata=None) -> list[tuple[str, str]]:
    file = tmp_path / "a.safetensors"
    save_file(tensors, file, metadata=metadata or {"format": "pt"})
    return [(f.code, f.level) for f in check(file, "flux")[1]]


def tensors_of(adapter: Adapter, layout: str = "comfyui"):
    tensors, _ = named(adapter, layout, "flux")
    return {key: tensor.clone() for key, tensor in tensors.items()}


def first(tensors, ending: str) -> str:
    return next(key for key in tensors if key.endswith(ending))


def test_a_sound_file_has_no_finding(tmp_path):
    """Nothing is made up, in any kind of file that the training writes."""
    assert found(tmp_path, tensors_of(lora("flux"))) == []
    assert found(tmp_path, tensors_of(lora("flux", dora=True))) == []
    assert found(tmp_path, tensors_of(lora("flux"), "original")) == []


def _nan(tensors):
    tensors[first(tensors, "lora_A.weight")][0, 0] = float("nan")


def _infinite(tensors):
    tensors[first(tensors, "lora_B.weight")][0, 0] = float("inf")


def _zero(tensors):
    tensors[first(tensors, "lora_B.weight")].zero_()


def _all_zero(tensors):
    for key in tensors:
        if key.endswith("lora_B.weight"):
            tensors[key].zero_()


def _missing(tensors):
    del tensors[first(tensors, "lora_B.weight")]


def _unknown(tensors):
    tensors["transformer.proj_out.mystery"] = noise([2], 1)


def _shape(tensors):
    key = first(tensors, "lora_B.weight")
    tensors[key] = tensors[key][:, :2].clone()


def _alpha(tensors):
    tensors[first(tensors, ".alpha")].zero_()


def _large_alpha(tensors):
    tensors[first(tensors, ".alpha")].fill_(400.0)


def _stranger(tensors):
    tensors["transformer.no.such.layer.lora_A.weight"] = noise([4, 8], 1)
    tensors["transformer.no.such.layer.lora_B.weight"] = noise([8, 4], 2)


@pytest.mark.parametrize(
    ("spoil", "code", "level"),
    [
        (_nan, "LOR025", "error"),
        (_infinite, "LOR025", "error"),
        (_zero, "LOR026", "warn"),
        (_all_zero, "LOR026", "error"),
        (_missing, "LOR023", "error"),
        (_unknown, "LOR020", "error"),
        (_shape, "LOR027", "error"),
        (_alpha, "LOR028", "error"),
        (_large_alpha, "LOR028", "warn"),
        (_stranger, "LOR029", "warn"),
    ],
)
def test_each_fault_is_reported(spoil, code, level, tmp_path):
    """One fault, one finding of its kind; inspect tells it as well and does not stop at it."""
    tensors = tensors_of(lora("flux"))
    spoil(tensors)
    assert found(tmp_path, tensors) == [(code, level)]
    data, findings = inspect(tmp_path / "a.safetensors", "flux")
    assert [f.code for f in findings] == [code]
    assert data["layers"]


def test_many_faults_are_one_finding_that_lists_them(tmp_path):
    """The evidence names every layer, so nothing hides behind the first."""
    tensors = tensors_of(lora("flux"))
    for key in tensors:
        if key.endswith("lora_A.weight"):
            tensors[key][0, 0] = float("nan")
    save_file(tensors, tmp_path / "a.safetensors", metadata={"format": "pt"})
    (finding,) = check(tmp_path / "a.safetensors", "flux")[1]
    assert len(finding.evidence["layers"]) == len(lora("flux").parts)


def test_inspect_shows_what_is_there(tmp_path):
    """Sizes, norms and words are those of the file."""
    adapter = lora("flux", rank=3, alpha=6.0, dtype=torch.bfloat16)
    parts = [replace(adapter.parts[0], alpha=torch.tensor(1.5)), *adapter.parts[1:]]
    notes = {
        "format": "pt",
        "family": "flux",
        "modelspec.title": "my style",
        "ss_tag_frequency": json.dumps(
            {"10_cat": {"sks cat": 12, "sofa": 3}, "5_dog": {"sofa": 4}}
        ),
    }
    file = written(
        tmp_path / "a.safetensors", replace(adapter, parts=tuple(parts), metadata=notes), "kohya"
    )
    data, findings = inspect(file)
    assert not findings
    assert (data["family"], data["layout"], data["title"]) == ("flux", "kohya", "my style")
    assert data["ranks"] == {"3": len(parts)}
    assert data["alphas"] == {"6.0": len(parts) - 1, "1.5": 1}
    assert data["dtypes"] == {"bfloat16": 2 * len(parts)}
    assert [(t["word"], t["count"]) for t in data["triggers"]] == [("sks cat", 12), ("sofa", 7)]
    assert data["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert data["metadata"]["modelspec.title"] == "my style"
    for part, row in zip(sorted(parts, key=_name), sorted(data["layers"], key=_layer), strict=True):
        assert row["layer"] == part.module
        assert row["norm"] == pytest.approx(_norm(part), rel=1e-4)
    block = next(row for row in data["blocks"] if row["block"] == "single_transformer_blocks.0")
    inside = [_norm(p) for p in parts if p.module.startswith("single_transformer_blocks.0.")]
    assert block["layers"] == len(inside)
    assert block["norm"] == pytest.approx(sum(n**2 for n in inside) ** 0.5, rel=1e-4)


def _name(part: Part) -> str:
    return part.module


def _layer(row) -> str:
    return row["layer"]


def _norm(part: Part) -> float:
    up, down = part.tensors[UP].double(), part.tensors[DOWN].double()
    return float((part.scale * up @ down).norm())
