"""Eco-Pulse: whether now is a good time to train, for each region of the grid."""
