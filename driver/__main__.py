"""``python -m beadwise.driver`` is the ``beadwise`` command."""

from .command_line import main

if __name__ == "__main__":
    main(prog_name="beadwise")
