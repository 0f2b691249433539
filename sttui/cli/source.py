"""Where a job comes from on the command line: a file, standard input, or a preset.

A preset becomes a one-line job text that names it; the light core fills in the rest, so that the
run directory keeps what was really asked for.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from sttui.cli.failure import CliError, usage
from sttui.cli.narrate import FINDINGS

MAX_STDIN_BYTES = 1 << 20
FORMATS = {".toml": "toml", ".yaml": "yaml", ".yml": "yaml", ".json": "json"}


@dataclass(frozen=True, slots=True)
class JobSource:
    """A job text with its format, its name for messages, and the folder of its relative paths."""

    text: str
    format: str
    name: str
    base_dir: Path

    @property
    def stem(self) -> str:
        return Path(self.name).stem if self.name not in ("-", "") else ""


def read_source(
    file: str | None, preset: str | None = None, format: str | None = None
) -> JobSource:
    """The job that FILE, `-` or `--preset` names; exactly one of them."""
    if (file is None) == (preset is None):
        raise usage(
            "name a job file, - for standard input, or --preset NAME", fix="give one of them"
        )
    if preset is not None:
        from trainer.config.presets import preset_path

        preset_path(preset)  # an unknown name is told here, with the nearest ones
        return JobSource(f'preset = "{preset}"\n', "toml", preset, Path.cwd())
    if file == "-":
        return _stdin(format)
    assert file is not None
    path = Path(file)
    text = _read(path)
    return JobSource(
        text, format or FORMATS.get(path.suffix.lower(), "toml"), file, path.resolve().parent
    )


def _read(path: Path) -> str:
    from trainer.config.load import read_document
    from trainer.errors import ConfigError

    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        try:
            read_document(path)  # says in its own words what is wrong with the file
        except ConfigError as error:
            raise CliError(FINDINGS, *error.findings) from None
        raise


def _stdin(format: str | None) -> JobSource:
    from trainer.config.load import guess_format

    if sys.stdin is None or sys.stdin.isatty():
        raise usage(
            "standard input is a terminal", fix="pipe a job file into it: stune submit - < FILE"
        )
    data = sys.stdin.buffer.read(MAX_STDIN_BYTES + 1)
    if len(data) > MAX_STDIN_BYTES:
        raise usage("standard input is larger than 1 MiB", fix="a job file is a short text")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise usage(
            "standard input is not UTF-8 text", fix="pipe a TOML, YAML or JSON file"
        ) from None
    if not text.strip():
        raise usage("standard input is empty", fix="pipe a TOML, YAML or JSON file into it")
    return JobSource(text, format or guess_format(text), "-", Path.cwd())
