"""AdamW of torchao with states in 8 bits, 4 bits or fp8.

The states are tensors of tensors (codes and scales). A checkpoint holds the parts as plain
tensors, and they are put back into fresh states bit by bit. The step is compiled by torch at its
first call. Tensors of fewer than 4096 numbers keep states of full precision.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from trainer.memory.quant_backends import quiet

PARTS = "parts"


def _stored(value: Any) -> Any:
    if hasattr(value, "__tensor_flatten__"):
        return {PARTS: {name: getattr(value, name) for name in value.__tensor_flatten__()[0]}}
    return value


def exact(base: Any) -> Any:
    """`base` with a state that is made of plain tensors, and rates that may be plain numbers."""

    class Exact(base):
        @torch.no_grad()
        def step(self, closure: Callable[[], float] | None = None) -> Any:
            for group in self.param_groups:  # schedules write numbers, the compiled step wants this
                group["lr"] = torch.as_tensor(group["lr"], dtype=torch.float32)
            return super().step(closure)

        def state_dict(self) -> dict[str, Any]:
            found = super().state_dict()
            state = {
                index: {name: _stored(value) for name, value in values.items()}
                for index, values in found["state"].items()
            }
            groups = [group | {"lr": float(group["lr"])} for group in found["param_groups"]]
            return {"state": state, "param_groups": groups}

        def load_state_dict(self, state_dict: dict[str, Any]) -> None:
            params = [p for group in self.param_groups for p in group["params"]]
            for group, stored in zip(self.param_groups, state_dict["param_groups"], strict=True):
                group |= {k: v for k, v in stored.items() if k != "params"}
                group["betas"] = tuple(group["betas"])
            self.state.clear()
            for index, values in state_dict["state"].items():
                p = params[index]
                self.state[p] = {name: self._restored(p, name, v) for name, v in values.items()}

        def _restored(self, parameter: Tensor, name: str, value: Any) -> Any:
            if name == "step":
                return value.clone()
            if not isinstance(value, dict):
                return value.to(parameter.device, parameter.dtype, copy=True)
            buffer = self._new_buffer(parameter, name == "exp_avg")
            for part, tensor in value[PARTS].items():
                getattr(buffer, part).copy_(tensor)
            return buffer

    return Exact


def _make(name: str, groups: list[dict[str, Any]], lr: float, args: dict[str, Any]) -> Optimizer:
    with quiet():
        from torchao import optim

    return exact(getattr(optim, name))(
        groups,
        lr=lr,
        betas=tuple(args["betas"]),
        eps=args["eps"],
        weight_decay=args["weight_decay"],
    )


def adamw_8bit(groups: list[dict[str, Any]], lr: float, args: dict[str, Any]) -> Optimizer:
    return _make("AdamW8bit", groups, lr, args)


def adamw_4bit(groups: list[dict[str, Any]], lr: float, args: dict[str, Any]) -> Optimizer:
    return _make("AdamW4bit", groups, lr, args)


def adamw_fp8(groups: list[dict[str, Any]], lr: float, args: dict[str, Any]) -> Optimizer:
    return _make("AdamWFp8", groups, lr, args)
