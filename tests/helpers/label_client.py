"""A client of i-PI that is not CP2K: Lennard-Jones through ASE's SocketClient, with the habits of bad programs.

    python label_client.py ADDRESS STRUCTURE LOG [HABIT:N]

ADDRESS is the name of a unix socket, or HOST:PORT.  Each start and each label is a line in LOG.  In the N-th label of
its life it ``dies``, ``hangs``, answers ``nan`` or ``nonsense``; ``refuses`` ends before connecting, and ``silent``
never connects; ``slow`` takes its time.
"""

import os
import sys
import time


def note(word):
    with open(log, "a") as file:
        file.write(f"{os.getpid()} {word}\n")


address, structure, log = sys.argv[1:4]
habit, _, number = (sys.argv[4] if len(sys.argv) > 4 else "").partition(":")
when = int(number or 1)
note("start")
if habit == "refuses":
    sys.exit("no licence")
if habit == "silent":
    time.sleep(1000)
from ase.calculators.lj import LennardJones  # noqa: E402
from ase.calculators.socketio import SocketClient  # noqa: E402
from ase.io import read  # noqa: E402, what takes long to import comes after what is noted

ANGSTROM = {"sigma": 2.6, "epsilon": 0.01, "rc": 6.0, "smooth": True}


class Habitual(LennardJones):
    def calculate(self, *arguments, **keywords):
        super().calculate(*arguments, **keywords)
        note("label")
        if habit == "slow":
            time.sleep(0.1)
        self.count = getattr(self, "count", 0) + 1
        if self.count != when:
            return
        print("Something dreadful is about to happen", flush=True)
        if habit == "dies":
            print(" *** [ABORT] the electrons went home ***", flush=True)
            os._exit(3)
        if habit == "hangs":
            time.sleep(1000)
        if habit == "nan":
            self.results["energy"] = float("nan")
        if habit == "nonsense":
            client.protocol.socket.sendall(b"WHATEVER    ")


atoms = read(structure)
atoms.calc = Habitual(**ANGSTROM)
host, colon, port = address.partition(":")
client = SocketClient(host=host, port=int(port)) if colon else SocketClient(unixsocket=address)
client.run(atoms, use_stress=habit != "stressless")
