"""A study as one page to read: no outside request, no script."""
