"""Forecast: what price and carbon of each region may do in the next hours."""
