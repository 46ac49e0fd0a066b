"""Numbers with their errors, written in one way."""

from __future__ import annotations

import math


def with_error(value: str, error: float, unit: str = "") -> str:
    """A number with its standard error, ``12.3 ± 0.4 eV``; one whose error is not known stands alone."""
    known = f" ± {error_text(error)}" if math.isfinite(error) else ""
    return f"{value}{known}{unit and f' {unit}'}{'' if known else ' (error not known)'}"


def error_text(error: float) -> str:
    """A standard error alone, two digits of it: ``0.4``, ``340``, or ``not known``."""
    return f"{float(f'{error:.2g}'):g}" if math.isfinite(error) else "not known"
