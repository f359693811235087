"""Forecasters that come with CarbonShift; others register under `carbonshift.forecasters`."""
