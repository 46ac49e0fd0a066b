"""``python -m beadwise.driver`` is the ``beadwise`` command."""

from .commands.group import main

if __name__ == "__main__":
    main(prog_name="beadwise")
