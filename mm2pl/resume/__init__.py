"""Going on with a run exactly where it was: random states, the place in the data, gradients."""
