"""The fleet and the grid on one page."""
