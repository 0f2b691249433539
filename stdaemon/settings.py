"""Settings of the daemon: `daemon.toml` in the configuration home; every key has a default."""

from __future__ import annotations

import os
import sys
import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trainer.errors import ConfigError
from trainer.findings import finding
from trainer.runs.homes import config_home, data_home, runtime_dir


class Settings(BaseModel):
    """Times in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    database_url: str | None = None
    runs_dir: Path | None = None
    trainer_command: list[str] = Field(default_factory=lambda: [sys.executable, "-m", "trainer"])
    max_attempts: int = Field(default=3, ge=1)
    retry_base_s: float = Field(default=30.0, ge=0)
    retry_max_s: float = Field(default=900.0, ge=0)
    stop_grace_s: float = Field(default=120.0, ge=0)
    saving_grace_s: float = Field(default=900.0, ge=0)
    term_grace_s: float = Field(default=15.0, ge=0)
    spawn_grace_s: float = Field(default=30.0, ge=0)
    silent_after_s: float = Field(default=300.0, gt=0)
    tick_s: float = Field(default=0.25, gt=0)
    watched_sample_s: float = Field(default=1.0, gt=0)
    idle_sample_s: float = Field(default=10.0, gt=0)

    @property
    def socket(self) -> Path:
        return runtime_dir() / "api.sock"

    @property
    def lock(self) -> Path:
        return runtime_dir() / "daemon.lock"

    @property
    def runs(self) -> Path:
        return self.runs_dir or data_home() / "runs"

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{data_home() / 'daemon.db'}"


def load_settings() -> Settings:
    """Read the file; `STUNE_DAEMON_<KEY>` in the environment wins over it."""
    path = config_home() / "daemon.toml"
    data: dict[str, object] = {}
    try:
        if path.exists():
            data = tomllib.loads(path.read_text())
        for name in Settings.model_fields:
            if (value := os.environ.get(f"STUNE_DAEMON_{name.upper()}")) is not None:
                data[name] = value.split() if name == "trainer_command" else value
        return Settings.model_validate(data)
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise ConfigError(
            finding(
                "RUN101",
                f"the daemon's settings are not valid: {error}",
                where=str(path),
                fix="mend the file; every key is optional",
            )
        ) from error
