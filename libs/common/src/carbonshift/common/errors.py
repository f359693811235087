"""Errors raised on purpose: what is wrong, where, and what the reader can do about it."""

__all__ = ["BrokerUnreachableError", "CarbonShiftError", "InputError", "TransientError"]


class CarbonShiftError(Exception):
    """Base of every error raised on purpose: what is wrong, and what the reader can do about it."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)

    @property
    def problem(self) -> str:
        """What is wrong, and where."""
        return str(self.args[0])

    @property
    def remedy(self) -> str:
        """How to mend it."""
        return str(self.args[1])

    def __str__(self) -> str:
        return "; ".join(str(part) for part in self.args)


class TransientError(CarbonShiftError):
    """Worth another try. Every other error goes to the dlq at once."""


class InputError(CarbonShiftError):
    """Something the user gave is wrong: one line on stderr and exit code 2."""


class BrokerUnreachableError(CarbonShiftError):
    """No broker answered in time, or none can be started here."""
