"""Colours of everything that is drawn, for what draws with matplotlib and for what does not.

Curves have the colours of Okabe and Ito (Color Universal Design, 2008), with a darker blue, which people who do not see
red, green or blue tell apart; no other meaning rests on colour alone.
"""

from __future__ import annotations

COLOURS = ("#00609f", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#6a4a2a", "#5a3d8a")  # of curves, in turn
REFERENCE = "#000000"  # experiment, and what is exact
PRELIMINARY = "#8c8c8c"  # of what has no error yet
PALE = "#b9d3ea"  # of areas behind points
