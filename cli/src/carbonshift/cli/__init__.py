"""The `carbonshift` command."""
