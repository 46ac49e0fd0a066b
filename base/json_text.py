"""Results as JSON, for people and programs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np


def plain(content: Any) -> Any:
    """Content as JSON has it: dataclasses and arrays by their values, None for numbers that are not finite."""
    kind = type(content)
    if kind is float:  # what there is most of comes first
        return content if math.isfinite(content) else None
    if content is None or kind in (str, int, bool):
        return content
    if kind is list:
        return [plain(value) for value in content]
    if is_dataclass(content) and not isinstance(content, type):
        return {field.name: plain(getattr(content, field.name)) for field in fields(content)}
    if isinstance(content, Mapping):
        return {str(name): plain(value) for name, value in content.items()}
    if isinstance(content, (np.ndarray, np.generic)):
        return plain(content.tolist())
    if isinstance(content, (list, tuple)):
        return [plain(value) for value in content]
    if isinstance(content, Path):
        return str(content)
    return None if isinstance(content, float) and not math.isfinite(content) else content


def json_text(content: Any) -> str:
    """Content as JSON; see `plain`."""
    return json.dumps(plain(content), indent=2, ensure_ascii=False, allow_nan=False)


def compact_json(content: Any) -> str:
    """Content as JSON in one line, for programs; see `plain`."""
    return json.dumps(plain(content), separators=(",", ":"), ensure_ascii=False, allow_nan=False)
