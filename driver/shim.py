"""The path by which i-PI inputs of earlier releases load beadwise; ``beadwise shim`` names the one of this release."""

from beadwise.driver.doors.in_process import InProcessDriver

__all__ = ["InProcessDriver"]

# i-PI reads both as literals
__DRIVER_NAME__ = "beadwise"
__DRIVER_CLASS__ = "InProcessDriver"
