"""The policy of each region, made once with the settings in force there."""

from carbonshift.common.plugins import load_plugin
from carbonshift.decide.policy import JobPolicy, Policy
from carbonshift.decide.settings import DecideSettings

__all__ = ["Regional"]


class Regional:
    """Policies by region."""

    def __init__(self, settings: DecideSettings) -> None:
        """Find the policy.

        Raises: InputError where none of that name is installed, or it cannot be used.
        """
        self._settings = settings
        self._make = load_plugin("carbonshift.policies", settings.policy)
        self._made: dict[str, tuple[Policy, DecideSettings]] = {}
        self.planning = isinstance(self._make(settings), JobPolicy)  # what is wrong with it is said at start
        """Whether it plans jobs."""

    def of(self, region: str) -> tuple[Policy, DecideSettings]:
        """The policy of the region, and its settings."""
        if region not in self._made:
            own = self._settings.for_region(region)
            self._made[region] = self._make(own), own
        return self._made[region]
