"""The agent of a GPU host: leased power caps, paused training, resume tokens."""
