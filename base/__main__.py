"""``python -m beadwise`` is the ``beadwise`` command."""

import runpy

if __name__ == "__main__":
    runpy.run_module("beadwise.driver", run_name="__main__")
