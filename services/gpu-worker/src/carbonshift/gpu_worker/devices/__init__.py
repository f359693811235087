"""The boards a worker can drive, one backend a file."""
