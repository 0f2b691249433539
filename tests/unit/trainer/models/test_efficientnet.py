"""The picture encoder of Stable Cascade is torchvision's EfficientNet-V2-S, without torchvision."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from trainer.models.parts.efficientnet import (
    MEAN,
    STAGES,
    STD,
    EfficientNetEncoder,
    load_encoder,
)

PUBLISHED = 21_458_488 - (1280 * 1000 + 1000)  # torchvision's whole network, less its classifier


@pytest.fixture(scope="module")
def encoder() -> EfficientNetEncoder:
    torch.manual_seed(0)
    return EfficientNetEncoder().eval()


def block_parameters(expand: int, inputs: int, outputs: int, *, fused: bool) -> int:
    """By hand: weights without bias, two numbers a channel for each normalisation."""
    wide = inputs * expand
    if fused and expand == 1:
        return 9 * inputs * outputs + 2 * outputs
    if fused:
        return 9 * inputs * wide + 2 * wide + wide * outputs + 2 * outputs
    squeezed = inputs // 4
    excitation = wide * squeezed + squeezed + squeezed * wide + wide
    depthwise = 9 * wide + 2 * wide
    return inputs * wide + 2 * wide + depthwise + excitation + wide * outputs + 2 * outputs


def test_parameters_are_those_of_the_published_network(encoder):
    """The whole and each stage: a wrong width, repeat, ratio or kernel shows in the count."""
    count = [sum(p.numel() for p in stage.parameters()) for stage in encoder.backbone]
    assert sum(count) == PUBLISHED == 20_177_488
    inputs = 24
    for stage, found in zip(STAGES, count[1:-1], strict=True):
        widths = [inputs, *[stage.width] * (stage.blocks - 1)]
        expected = sum(
            block_parameters(stage.expand, width, stage.width, fused=stage.fused)
            for width in widths
        )
        assert found == expected
        inputs = stage.width
    assert sum(p.numel() for p in encoder.mapper.parameters()) == 1280 * 16


def test_names_are_those_of_the_published_file(encoder):
    """torchvision's numbers below `backbone.`, then the mapper: names by which the file loads."""
    state = encoder.state_dict()
    shapes = {
        "backbone.0.0.weight": (24, 3, 3, 3),
        "backbone.0.1.running_var": (24,),
        "backbone.1.1.block.0.0.weight": (24, 24, 3, 3),
        "backbone.2.0.block.0.0.weight": (96, 24, 3, 3),
        "backbone.2.3.block.1.0.weight": (48, 192, 1, 1),
        "backbone.4.0.block.1.0.weight": (256, 1, 3, 3),
        "backbone.4.0.block.2.fc1.weight": (16, 256, 1, 1),
        "backbone.5.0.block.2.fc2.bias": (768,),
        "backbone.6.14.block.3.0.weight": (256, 1536, 1, 1),
        "backbone.7.0.weight": (1280, 256, 1, 1),
        "mapper.0.weight": (16, 1280, 1, 1),
        "mapper.1.running_mean": (16,),
    }
    assert {name: tuple(state[name].shape) for name in shapes} == shapes
    assert {n.split(".")[0] for n in state} == {"backbone", "mapper"}
    assert "mapper.1.weight" not in state  # its normalisation has no weights
    assert len(state) == 780 + 4


def test_strides_and_widths(encoder):
    """Each stage halves the picture where it should: 32 pixels a side become one latent."""
    shapes = []
    x = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        for stage in encoder.backbone:
            x = stage(x)
            shapes.append(tuple(x.shape[1:]))
        latents = encoder(torch.rand(2, 3, 64, 96))
    assert shapes == [
        (24, 32, 48),
        (24, 32, 48),
        (48, 16, 24),
        (64, 8, 12),
        (128, 4, 6),
        (160, 4, 6),
        (256, 2, 3),
        (1280, 2, 3),
    ]
    assert latents.shape == (2, 16, 2, 3)


def test_normalisation_uses_the_statistics_of_the_file(encoder):
    """A latent does not depend on its batch, and every epsilon is the network's own."""
    x = torch.rand(3, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(encoder(x)[:1], encoder(x[:1]), atol=1e-6, rtol=1e-5)
    norms = [m for m in encoder.backbone.modules() if isinstance(m, nn.BatchNorm2d)]
    assert {m.eps for m in norms} == {1e-3}
    assert encoder.mapper[1].eps == 1e-5


def test_the_mapper_takes_mean_and_variance_off(encoder):
    """(features - mean) / sqrt(variance): the statistics act, and in this order."""
    norm = encoder.mapper[1]
    mean, var = torch.randn(16), torch.rand(16) + 0.5
    kept = norm.running_mean.clone(), norm.running_var.clone()
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(var)
    raw = torch.randn(1, 16, 2, 2)
    expected = (raw - mean.view(1, -1, 1, 1)) / (var + 1e-5).sqrt().view(1, -1, 1, 1)
    torch.testing.assert_close(norm(raw), expected)
    norm.running_mean.copy_(kept[0])
    norm.running_var.copy_(kept[1])


def test_pixels_are_normalised_as_for_imagenet(encoder):
    """-1..1 becomes 0..1, then mean and spread of ImageNet, channel by channel."""
    seen: list[torch.Tensor] = []
    hook = encoder.backbone.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    pixels = torch.stack([torch.full((32, 32), v) for v in (-1.0, 0.0, 1.0)])[None]
    with torch.no_grad():
        encoder(pixels)
    hook.remove()
    for channel, value in enumerate((0.0, 0.5, 1.0)):
        expected = (value - MEAN[channel]) / STD[channel]
        torch.testing.assert_close(seen[0][0, channel, 0, 0].item(), expected)


def test_squeeze_and_excitation_by_hand(encoder):
    """Mean over the picture, SiLU between the two layers, a sigmoid on top."""
    excitation = encoder.backbone[4][0].block[2]
    x = torch.randn(1, 256, 3, 5)
    hidden = excitation.fc1.weight[:, :, 0, 0] @ x[0].mean((1, 2)) + excitation.fc1.bias
    hidden = hidden * torch.sigmoid(hidden)
    scale = torch.sigmoid(excitation.fc2.weight[:, :, 0, 0] @ hidden + excitation.fc2.bias)
    torch.testing.assert_close(excitation(x)[0], x[0] * scale.view(-1, 1, 1))


def test_blocks_add_their_input_where_the_shape_stays(encoder):
    """A block of the same width without stride starts as the identity when it adds nothing."""
    for stage in encoder.backbone[1:-1]:
        for number, block in enumerate(stage):
            stays = number > 0 or block is encoder.backbone[1][0]
            assert block.residual == stays
    block = EfficientNetEncoder().backbone[2][1].eval()
    nn.init.zeros_(block.block[1][0].weight)
    x = torch.randn(1, 48, 4, 4)
    torch.testing.assert_close(block(x), x)


def test_a_file_loads_whole_or_says_what_it_lacks(encoder, tmp_path):
    """Value for value, from half precision too; a missing tensor is named, a counter is not."""
    path = tmp_path / "effnet_encoder.safetensors"
    tensors = {k: v.clone() for k, v in encoder.state_dict().items()}
    tensors["mapper.1.running_mean"] += 0.5
    save_file({k: v for k, v in tensors.items() if "num_batches" not in k}, path)
    loaded, missing = load_encoder(path)
    assert missing == []
    assert all(torch.equal(loaded.state_dict()[k], v) for k, v in tensors.items() if v.ndim)
    del tensors["backbone.7.0.weight"]
    save_file({k: v.bfloat16() for k, v in tensors.items()}, path)
    loaded, missing = load_encoder(path)
    assert missing == ["backbone.7.0.weight"]
    assert loaded.dtype is torch.float32
