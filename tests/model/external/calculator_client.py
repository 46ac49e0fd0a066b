"""A calculator of ASE in whatever environment runs this, as a client of i-PI.

    python calculator_client.py KIND ADDRESS STRUCTURE FRAME ANSWER

KIND is ``mace:FILE``, ``sevenn`` or ``chgnet``, with the weights in its wheel.  Before it connects, it writes to ANSWER
what it says of the structure in FRAME, and which e3nn it has: nothing of beadwise takes part in that.
"""

import json
import sys
import warnings
from importlib.metadata import version

from ase.calculators.socketio import SocketClient
from ase.io import read

warnings.simplefilter("ignore")


def calculator(kind):
    if kind == "sevenn":
        from sevenn.calculator import SevenNetCalculator

        return SevenNetCalculator("7net-0", device="cpu")
    if kind == "chgnet":
        from chgnet.model import CHGNetCalculator

        return CHGNetCalculator(use_device="cpu")
    from mace.calculators import MACECalculator

    return MACECalculator(kind.partition(":")[2], device="cpu", default_dtype="float64")


kind, address, structure, frame, answer = sys.argv[1:]
atoms, known = read(structure), read(frame)
atoms.calc = known.calc = calculator(kind)
found = {"energy": float(known.get_potential_energy()), "forces": known.get_forces().tolist()}
with open(answer, "w") as file:
    json.dump(found | {"e3nn": "" if kind == "chgnet" else version("e3nn")}, file)
SocketClient(unixsocket=address).run(atoms, use_stress=True)
