"""What all messages share: unknown fields are ignored, so neighbouring versions understand."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Message(BaseModel):
    model_config = ConfigDict(extra="ignore")
