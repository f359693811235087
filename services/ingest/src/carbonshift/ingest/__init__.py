"""Grid ticks from recordings and live sources, cleaned and flagged."""
