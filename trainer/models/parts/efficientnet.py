"""EfficientNet-V2-S as an encoder of pictures (Tan & Le 2021, 2104.00298), without torchvision.

Stable Cascade's latents are the features of this network behind a 1x1 convolution and a
normalisation without weights of its own. The layout follows torchvision's numbering, so that the
published `effnet_encoder.safetensors` loads name for name. It only encodes: batch statistics are
those of the file, and the random skipping of blocks that training such a network needs is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

STRIDE = 32  # pixels along one side of a feature
FEATURES = 1280
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, channels in 0..1


@dataclass(frozen=True, slots=True)
class Stage:
    """Blocks of one kind and width; only the first of them has the stride."""

    fused: bool
    expand: int
    stride: int
    width: int
    blocks: int


STEM = 24
STAGES = (
    Stage(fused=True, expand=1, stride=1, width=24, blocks=2),
    Stage(fused=True, expand=4, stride=2, width=48, blocks=4),
    Stage(fused=True, expand=4, stride=2, width=64, blocks=4),
    Stage(fused=False, expand=4, stride=2, width=128, blocks=6),
    Stage(fused=False, expand=6, stride=1, width=160, blocks=9),
    Stage(fused=False, expand=6, stride=2, width=256, blocks=15),
)


def conv(
    inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1, act: bool = True
) -> nn.Sequential:
    """Convolution, normalisation and, where asked, SiLU."""
    layers = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps=1e-3),
        *([nn.SiLU()] if act else []),
    ]
    return nn.Sequential(*layers)


class SqueezeExcitation(nn.Module):
    """Scales each channel by what the whole picture shows of all channels."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        scale = nn.functional.silu(self.fc1(x.mean((2, 3), keepdim=True)))
        return x * self.fc2(scale).sigmoid()


class Block(nn.Module):
    """MBConv, or with one full convolution in place of two the fused kind of it."""

    def __init__(self, stage: Stage, inputs: int, stride: int) -> None:
        super().__init__()
        wide, width = inputs * stage.expand, stage.width
        layers: list[nn.Module]
        if not stage.fused:
            layers = [
                conv(inputs, wide, 1),
                conv(wide, wide, 3, stride=stride, groups=wide),
                SqueezeExcitation(wide, inputs // 4),
                conv(wide, width, 1, act=False),
            ]
        elif stage.expand == 1:
            layers = [conv(inputs, width, 3, stride=stride)]
        else:
            layers = [conv(inputs, wide, 3, stride=stride), conv(wide, width, 1, act=False)]
        self.block = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == width

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x) if self.residual else self.block(x)


def backbone() -> nn.Sequential:
    """Stem, six stages, and the convolution to the features."""
    layers: list[nn.Module] = [conv(3, STEM, 3, stride=2)]
    inputs = STEM
    for stage in STAGES:
        strides = (stage.stride, *(1,) * (stage.blocks - 1))
        widths = (inputs, *(stage.width,) * (stage.blocks - 1))
        pairs = zip(widths, strides, strict=True)
        layers.append(nn.Sequential(*(Block(stage, width, stride) for width, stride in pairs)))
        inputs = stage.width
    return nn.Sequential(*layers, conv(inputs, FEATURES, 1))


class EfficientNetEncoder(nn.Module):
    """Pixels [B, 3, H, W] in -1..1 to normalised latents [B, C, H / 32, W / 32]."""

    mean: Tensor
    std: Tensor

    def __init__(self, latent_channels: int = 16) -> None:
        super().__init__()
        self.backbone = backbone()
        self.mapper = nn.Sequential(
            nn.Conv2d(FEATURES, latent_channels, 1, bias=False),
            nn.BatchNorm2d(latent_channels, affine=False),
        )
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.mapper(self.backbone(((pixels + 1) / 2 - self.mean) / self.std))

    @property
    def dtype(self) -> torch.dtype:
        return self.mean.dtype

    @property
    def device(self) -> torch.device:
        return self.mean.device

    @property
    def style_layers(self) -> list[nn.Module]:
        """Where a picture's style is read off, as from the encoder of an autoencoder."""
        return list(self.backbone)[: len(STAGES) + 1]


def load_encoder(path: Path) -> tuple[EfficientNetEncoder, list[str]]:
    """The encoder of a file, and the names of tensors that the file lacks."""
    from safetensors.torch import load_file

    encoder = EfficientNetEncoder()
    missing = encoder.load_state_dict(load_file(path), strict=False).missing_keys
    return encoder, [name for name in missing if not name.endswith("num_batches_tracked")]
