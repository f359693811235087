"""What is asked, whoever is asked. Pure."""

import hashlib
import json
from dataclasses import dataclass

__all__ = ["Question"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One message of the system, one of the user."""

    system: str
    user: str

    @property
    def size_bytes(self) -> int:
        """Of both messages as they are sent."""
        return len(self.system.encode()) + len(self.user.encode())

    def key(self, model: str) -> str:
        """The same for the same question to the same model."""
        return hashlib.sha256(json.dumps([model, self.system, self.user]).encode()).hexdigest()
