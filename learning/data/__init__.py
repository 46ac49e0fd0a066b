"""Labelled structures: read frame by frame from files, checked, described, and split into sets."""

from .files import expanded, iterate_frames, read_frames, require_files
from .frame import Frame, frame_from_ase
from .label import DataError, Label, labels, whole_labels
from .reading import Reading
from .sets import species_of, split

__all__ = [
    "DataError",
    "Frame",
    "Label",
    "Reading",
    "expanded",
    "frame_from_ase",
    "iterate_frames",
    "labels",
    "read_frames",
    "require_files",
    "species_of",
    "split",
    "whole_labels",
]
