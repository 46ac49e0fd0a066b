"""Spectra of runs, with sampling error and model error."""
