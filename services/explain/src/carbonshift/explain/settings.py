"""What explain can be told."""

from typing import ClassVar

from carbonshift.common.settings import Settings

__all__ = ["ExplainSettings"]


class ExplainSettings(Settings):
    """Settings of explain: those of every service."""

    service: ClassVar[str] = "explain"
