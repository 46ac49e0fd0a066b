"""Fitting an equivariant network: its twin in torch, and its training."""
