"""``qtip4pf``: the water potential q-TIP4P/F."""

from ..qtip4pf import QTip4pF
from .parameters import with_numbers

PROVIDER = with_numbers("qtip4pf", lambda threads, parameters: QTip4pF(threads=threads))
