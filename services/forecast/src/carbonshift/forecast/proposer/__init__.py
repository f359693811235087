"""Numbers proposed by a language model: asked for, checked, and paid for within a budget."""

from carbonshift.forecast.proposer.proposer import Proposer

__all__ = ["Proposer"]
