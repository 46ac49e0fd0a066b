"""What carries structures from i-PI to an evaluator, and its answers back.

`door.py` says what a door is and which there are; `beadwise serve` opens one.  The door inside i-PI's own process is
opened by i-PI: `shim.py` is what it loads by its path, and `in_process.py` what it calls.
"""
