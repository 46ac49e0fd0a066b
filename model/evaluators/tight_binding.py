"""``tblite:METHOD``, or the method alone: extended tight binding."""

from ..tight_binding import METHODS, PREFIX, USAGE, tight_binding
from .provider import Provider

PROVIDER = Provider(PREFIX, tight_binding, USAGE, short=tuple(METHODS))
