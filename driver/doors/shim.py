"""What i-PI loads by its path: ``<pes_path>`` of an ``<ffdirect>``, or ``i-pi-driver-py -m custom -P``."""

# by its full name: what is loaded by its path has no package
from beadwise.driver.doors.in_process import InProcessDriver

__all__ = ["InProcessDriver"]

# i-PI reads both as literals
__DRIVER_NAME__ = "beadwise"
__DRIVER_CLASS__ = "InProcessDriver"
