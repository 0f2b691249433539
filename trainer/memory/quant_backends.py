"""One linear layer into its quantised form, by each package that does it.

The weight is all that changes: a bias stays, and the layer computes `x @ W.T + b` with the widened
weight, in forward and backward. Packages are imported at use; they are the extra `quant`.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import MethodType
from typing import Any

import torch
from torch import nn

from trainer.catalog.quants import QUANTS
from trainer.errors import ConfigError
from trainer.findings import finding

Convert = Callable[[nn.Linear], nn.Module]


@contextmanager
def quiet() -> Iterator[None]:
    """The packages tell at import which of their optional kernels they miss, and PEFT that a
    quantised layer cannot be merged, which is never done here."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def converter(name: str, where: str) -> Convert:
    """The conversion called `name`, which the key path `where` asks for."""
    entry = QUANTS[name]
    makers = {"torchao": _torchao, "optimum.quanto": _quanto, "bitsandbytes": _bitsandbytes}
    try:
        with quiet():
            return makers[entry.package](entry.level)
    except ImportError as error:
        raise ConfigError(
            finding(
                "ENV010",
                f"{name} needs the package {entry.package}, which cannot be imported: {error}",
                where=where,
                fix="pip install 'simpletuner-terminal[quant]'",
            )
        ) from error


def _torchao(level: str) -> Convert:
    from torchao.quantization import Float8WeightOnlyConfig, Int8WeightOnlyConfig, quantize_

    recipe: Any = {"int8": Int8WeightOnlyConfig, "fp8": Float8WeightOnlyConfig}[level]()

    def convert(linear: nn.Linear) -> nn.Module:
        quantize_(linear, recipe)
        return linear

    return convert


def _quanto(level: str) -> Convert:
    from optimum.quanto import qfloat8, qint4, qint8
    from optimum.quanto.nn import QLinear

    kind = {"int8": qint8, "int4": qint4, "fp8": qfloat8}[level]

    def convert(linear: nn.Linear) -> nn.Module:
        made: Any = QLinear.from_module(linear, weights=kind)
        made.freeze()
        # `state_dict()` then has the usual names, which diffusers' adapter loaders look up
        made._save_to_state_dict = MethodType(nn.Module._save_to_state_dict, made)
        return made

    return convert


def _bitsandbytes(level: str) -> Convert:
    from bitsandbytes import nn as bnb

    layer: Any = bnb.Linear4bit
    packed: Any = bnb.Params4bit

    def convert(linear: nn.Linear) -> nn.Module:
        """Its weight is quantised by the move to its device, the CPU being one."""
        with torch.device("meta"):
            made = layer(
                linear.in_features,
                linear.out_features,
                bias=linear.bias is not None,
                compute_dtype=linear.weight.dtype,
                quant_type=level,
                compress_statistics=True,
            )
        made.weight = packed(
            linear.weight.data, requires_grad=False, quant_type=level, compress_statistics=True
        )
        if linear.bias is not None:
            made.bias = nn.Parameter(linear.bias.data, requires_grad=False)
        made.support_avx512bf16_for_cpu = False  # it would rewrite weights, less exactly, in eval
        return made.to(linear.weight.device)

    return convert
