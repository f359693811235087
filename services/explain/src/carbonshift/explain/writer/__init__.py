"""Narratives written by Claude: asked for, verified, and paid for within a budget."""

from carbonshift.explain.writer.writer import Writer

__all__ = ["Writer"]
