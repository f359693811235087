"""The resume tokens that each site was given in its newest epoch. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from carbonshift.common.events import GridState, ResumeToken

__all__ = ["HandedOut"]


@dataclass(slots=True, kw_only=True)
class Epoch:
    """Of one site and run: the tokens of an epoch that had not expired when its newest began."""

    number: int
    heard_seconds: float = 0.0
    tokens: dict[str, tuple[float, float]] = field(default_factory=dict)
    """By id, when it expires (Unix seconds) and its watts."""


@dataclass(slots=True, kw_only=True)
class HandedOut:
    """A new epoch forgets the old one, and a token those that had expired before it."""

    _epochs: dict[tuple[str, str | None], Epoch] = field(default_factory=dict)

    def hear(self, token: ResumeToken, now_seconds: float) -> None:
        """Note a token; one of an older epoch is void."""
        site = token.site, token.replay.run if token.replay else None
        epoch = self._epochs.get(site)
        if epoch is None or epoch.number < token.epoch:
            epoch = self._epochs[site] = Epoch(number=token.epoch)
        if epoch.number == token.epoch:
            epoch.heard_seconds = now_seconds
            epoch.tokens[token.id] = token.expires_at.timestamp(), token.watts
            starts_seconds = token.not_before.timestamp()
            expired = [one for one, (expires_seconds, _) in epoch.tokens.items() if expires_seconds < starts_seconds]
            for one in expired:
                del epoch.tokens[one]

    def of(self, sites: Iterable[str], run: str | None, state: GridState) -> tuple[float, ...]:
        """The watts of each token at those sites, where `state` lets training run again: the epoch begins with it."""
        if state.epoch != int(state.interval_start.timestamp()):
            return ()
        epochs = [epoch for site in sites if (epoch := self._epochs.get((site, run))) and epoch.number == state.epoch]
        return tuple(watts for epoch in epochs for _, watts in epoch.tokens.values())

    def forget(self, before_seconds: float) -> None:
        """Forget the sites that were given nothing since."""
        self._epochs = {site: epoch for site, epoch in self._epochs.items() if epoch.heard_seconds >= before_seconds}
