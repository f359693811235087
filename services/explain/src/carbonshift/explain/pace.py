"""How often the transitions of a region are given to a model: a grid that flaps is told by template. Pure."""

__all__ = ["Pace"]


class Pace:
    """Who was asked about last, and when, of each region."""

    def __init__(self, least_seconds: float) -> None:
        self._least_seconds = least_seconds
        self._last: dict[str, tuple[str, float]] = {}

    def allows(self, region: str, transition_id: str, at_seconds: float) -> bool:
        """Whether that transition may be asked about; one that was is the same one still, however often it comes.

        Args:
            region: that the pace is of.
            transition_id: of what may be asked about; where it may, it is taken to be.
            at_seconds: of a clock that only goes forward.
        """
        last_id, last_seconds = self._last.get(region, ("", -float("inf")))
        if transition_id == last_id:
            return True
        if at_seconds - last_seconds < self._least_seconds:
            return False
        self._last[region] = transition_id, at_seconds
        return True
