"""How good forecasts are on recorded grids: every forecaster from the same origins, beside two baselines."""
