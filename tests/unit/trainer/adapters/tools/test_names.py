"""Names of other programs, the guess of the family, and names that mean nothing or two things."""

from __future__ import annotations

import pytest
import torch

from tests.support.adapter_files import lora, noise
from tests.support.families import KINDS
from trainer.adapters.tools.naming import divided
from trainer.adapters.tools.read import take
from trainer.adapters.tools.record import DOWN, UP
from trainer.adapters.tools.write import named

TO_Q = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"


def pair(stem: str, down: str = "lora_down", up: str = "lora_up") -> dict[str, torch.Tensor]:
    return {f"{stem}.{down}.weight": noise([4, 16], 1), f"{stem}.{up}.weight": noise([16, 4], 2)}


@pytest.mark.parametrize(
    ("tensors", "layout"),
    [
        (pair("lora_unet_" + TO_Q.replace(".", "_")), "kohya"),
        (pair("lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q"), "original"),
        (pair("lycoris_" + TO_Q.replace(".", "_")), "lycoris"),
        (pair(f"unet.{TO_Q}", "lora_A", "lora_B"), "diffusers"),
        (pair(f"unet.{TO_Q}", "lora.down", "lora.up"), "diffusers-legacy"),
        (pair(f"unet.{TO_Q[:-5]}.processor.to_q_lora", "down", "up"), "diffusers-legacy"),
    ],
)
def test_one_layer_by_all_its_names(tensors, layout):
    """Each way of writing it leads to the same layer of the model."""
    adapter, findings = take(tensors, {}, where="x", family="sdxl")
    assert not findings
    assert adapter.layout == layout
    (part,) = adapter.parts
    assert part.module == TO_Q
    assert part.tensors[DOWN].equal(noise([4, 16], 1))
    assert part.tensors[UP].equal(noise([16, 4], 2))


def test_upsamplers_lie_elsewhere_without_attention():
    """SD 1 has no attention where it starts upwards, so its upsampler is one place further up."""
    for kind, place in (("sd1x", 1), ("sdxl", 2)):
        found, _ = take(
            {f"lora_unet_output_blocks_2_{place}_conv.lora_down.weight": noise([4, 8, 3, 3], 1)},
            {},
            where="x",
            family=kind,
        )
        assert [part.module for part in found.parts] == ["up_blocks.0.upsamplers.0.conv"]


def test_text_encoders():
    """kohya's te1 and te2 are the pipeline's first and second text encoder."""
    stem = "text_model_encoder_layers_3_self_attn_q_proj"
    tensors = pair(f"lora_te1_{stem}") | pair(f"lora_te2_{stem}")
    adapter, findings = take(tensors, {}, where="x", family="sdxl")
    module = "text_model.encoder.layers.3.self_attn.q_proj"
    assert not findings
    assert list(adapter.by_name()) == [("text_encoder", module), ("text_encoder_2", module)]
    back, _ = named(adapter, "kohya", "sdxl")
    assert back.keys() == tensors.keys()
    alone, _ = take(pair(f"lora_te_{stem}"), {}, where="x", family="sd1x")
    assert next(iter(named(alone, "kohya", "sd1x")[0])).startswith("lora_te_text_model")


@pytest.mark.parametrize("kind", KINDS)
def test_the_family_is_among_the_guesses(kind):
    """From names alone the right family is never ruled out; the header's word decides."""
    adapter = lora(kind)
    tensors, metadata = named(adapter, "diffusers", kind)
    assert kind in take(tensors, metadata, where="x")[0].families
    told, _ = take(tensors, metadata | {"family": kind}, where="x")
    assert told.family == kind


@pytest.mark.parametrize(
    ("width", "kin"), [(768, ("sd1x",)), (1024, ("sd2x",)), (2048, ("kolors", "sdxl"))]
)
def test_widths_tell_kin_apart(width, kin):
    """UNets have the same names; what their text encoders give is of other widths. Kolors is an
    SDXL with another text encoder."""
    stem = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k"
    tensors = {
        f"{stem}.lora_down.weight": noise([4, width], 1),
        f"{stem}.lora_up.weight": noise([640, 4], 2),
    }
    assert tuple(sorted(take(tensors, {}, where="x")[0].families)) == kin


def test_numbers_of_blocks_tell_kin_apart():
    """A file with 60 blocks of these names is Qwen-Image, with 19 it is no Qwen-Image."""

    def families(count: int) -> tuple[str, ...]:
        found = {}
        for n in range(count):
            stem = f"transformer.transformer_blocks.{n}.attn.to_k"
            found |= {f"{stem}.lora_A.weight": noise([4, 3072], 1)}
            found |= {f"{stem}.lora_B.weight": noise([3072, 4], 2)}
        return take(found, {}, where="x")[0].families

    assert families(60) == ("qwen_image",)
    assert "flux" in families(19)
    assert "qwen_image" not in families(19)


def test_unknown_names_are_told():
    """A name of no known form, and one of no known words, are both listed."""
    tensors = pair("lora_unet_" + TO_Q.replace(".", "_"))
    tensors |= {"something.else": noise([1], 1)}
    tensors |= pair("lora_unet_nonsense_block_7")
    adapter, findings = take(tensors, {}, where="x", family="sdxl")
    assert len(adapter.parts) == 1
    (found,) = findings
    assert (found.code, found.level) == ("LOR020", "error")
    assert len(found.evidence["keys"]) == 2


def test_a_layer_that_is_there_twice_is_told():
    """Two names for one layer: only one of them could act."""
    tensors = pair("lora_unet_" + TO_Q.replace(".", "_")) | pair(f"unet.{TO_Q}", "lora_A", "lora_B")
    _, findings = take(tensors, {}, where="x", family="sdxl")
    assert [found.code for found in findings] == ["LOR021"]


def test_words_divide_names_that_no_table_has():
    """The longest words win; two ways of the same length are an ambiguity."""
    words = frozenset({"to_out", "to", "out", "attn", "proj_in", "proj", "in_x", "x"})
    assert divided("attn_to_out_0", words) == ["attn.to_out.0"]
    assert sorted(divided("proj_in_x", words)) == ["proj.in_x", "proj_in.x"]
    assert divided("attn_nothing", words) == []
