"""The decision code over recorded tapes, beside its baselines."""
