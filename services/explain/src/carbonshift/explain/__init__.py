"""Explain: each change of a region's state told to a person, with no number that is not a fact."""
