"""A label of a metric that whatever comes in cannot blow up."""

__all__ = ["OTHER", "BoundedLabel"]

OTHER = "other"
MOST_VALUES = 64


class BoundedLabel:
    """Lets the first `most` distinct values through; each that comes after them is `other`."""

    def __init__(self, most: int = MOST_VALUES) -> None:
        self._most = most
        self._known: set[str] = set()

    def of(self, value: str) -> str:
        """The label for `value`, for good."""
        if value not in self._known:
            if len(self._known) >= self._most:
                return OTHER
            self._known.add(value)
        return value
