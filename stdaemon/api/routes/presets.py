"""Presets of this host."""

from __future__ import annotations

from fastapi import APIRouter

from stdaemon.jobs.errors import Refusal
from stdaemon.wire.errors import Problem
from stdaemon.wire.presets import PresetInfo, PresetText
from trainer.config.presets import preset_info, preset_names, preset_path
from trainer.errors import ConfigError

router = APIRouter(prefix="/v1/presets", tags=["presets"])


@router.get("")
def list_presets() -> list[PresetInfo]:
    """All presets, built-in and the user's own."""
    found = []
    for name in preset_names():
        info = preset_info(name)
        found.append(PresetInfo.model_validate({k: getattr(info, k) for k in _FIELDS}))
    return found


_FIELDS = tuple(PresetInfo.model_fields)


@router.get("/{name:path}", responses={404: {"model": Problem}})
def show_preset(name: str) -> PresetText:
    """The text of a preset."""
    try:
        path = preset_path(name)
    except ConfigError as error:
        raise Refusal(404, error.finding.message, *error.findings) from None
    return PresetText(name=name, text=path.read_text(encoding="utf-8"))
