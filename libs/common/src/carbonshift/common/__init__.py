"""What crosses parts: events, streams, settings, errors, the broker, tapes. Nothing else."""
