"""What gives an energy: the learned energy head, pair repulsion, baselines."""
