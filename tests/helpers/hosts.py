"""Network namespaces that stand for the hosts of a cluster: joined by a switch, and each can be cut off from it.

Everything lies in a user and network namespace of its own, so that no rights are needed beyond making one, the network
of the machine is never touched, and all of it vanishes with the processes that hold it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from beadwise.model import Batch, Response
from springs import Slow

PATIENCE = 20.0
HOLD = ["sh", "-c", "echo held; exec cat >/dev/null"]


class NoNamespacesError(Exception):
    """This machine cannot make network namespaces."""


class Hosts:
    """Hosts ``1`` to `count` at 10.0.0.1 to 10.0.0.`count`, on one switch.

    A host whose cable is out still believes in it: what it sends is lost, without a word to either side.

    Parameters
    ----------
    count : int
        How many.
    """

    def __init__(self, count: int):
        for program in ("unshare", "nsenter", "ip"):
            if shutil.which(program) is None:
                raise NoNamespacesError(f"network namespaces need the program {program}")
        self._running: list[subprocess.Popen] = []
        self._holders: list[subprocess.Popen] = []
        try:
            self._hold(["unshare", "--user", "--map-root-user", "--net"])
            self._configure(0, "link add switch type bridge", "link set switch up")
            for host in range(1, count + 1):
                self._add(host)
        except BaseException:
            self.close()
            raise

    def address(self, host: int) -> str:
        return f"10.0.0.{host}"

    def start(
        self, host: int, command: Sequence[str], folder: Path, environment: Mapping[str, str], output: IO[bytes]
    ) -> subprocess.Popen:
        """Start a command on a host; `close` kills it."""
        words = [*self._enter(host), *command]
        process = subprocess.Popen(
            words, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        self._running.append(process)
        return process

    def cut(self, host: int) -> None:
        """Pull a host's cable out of the switch."""
        self._configure(0, f"link set port{host} nomaster")

    def mend(self, host: int) -> None:
        """Put it back."""
        self._configure(0, f"link set port{host} master switch")

    def close(self) -> None:
        """Kill whatever runs on the hosts, and let go of them."""
        for process in [*self._running, *reversed(self._holders)]:
            process.kill()
        for process in [*self._running, *self._holders]:
            process.communicate()

    def __enter__(self) -> Hosts:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _add(self, host: int) -> None:
        self._hold([*self._enter(0), "unshare", "--net"])
        holder = self._holders[host].pid
        self._configure(
            0,
            f"link add port{host} type veth peer name cable netns {holder}",
            f"link set port{host} master switch up",
        )
        self._configure(host, "link set lo up", f"addr add {self.address(host)}/24 dev cable", "link set cable up")

    def _hold(self, unshare: Sequence[str]) -> None:
        """Make a namespace that lives as long as this process: it is held by one that waits for our end of a pipe."""
        holder = subprocess.Popen(
            [*unshare, *HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._holders.append(holder)
        if holder.stdout.readline() != "held\n":
            raise NoNamespacesError(f"network namespaces cannot be made here: {holder.stderr.read().strip()}")

    def _enter(self, host: int) -> list[str]:
        """What to put before a command to run it on a host; host 0 is the switch."""
        return ["nsenter", f"--target={self._holders[host].pid}", "--user", "--net", "--preserve-credentials"]

    def _configure(self, host: int, *commands: str) -> None:
        for command in commands:
            done = subprocess.run(
                [*self._enter(host), "ip", *command.split()], capture_output=True, text=True, timeout=PATIENCE
            )
            if done.returncode != 0:
                raise NoNamespacesError(f"'ip {command}' failed: {done.stderr.strip()}")


class Marking(Slow):
    """Touches a file when it begins to evaluate."""

    def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
        Path(os.environ["EVALUATION_MARK"]).touch()
        return super().evaluate(batch, want)


def marking() -> Marking:
    return Marking()
