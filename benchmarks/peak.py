"""What one core of this machine can do: multiply-adds per second in registers and bytes per second from its caches."""

from __future__ import annotations

import numpy as np
from measuring import least_seconds, limit_threads, machine
from rich.console import Console


def multiply_adds(size: int = 768) -> float:
    """Double-precision multiply-adds per second of the linear-algebra library's matrix product."""
    rng = np.random.default_rng(0)
    left, right, out = rng.normal(size=(size, size)), rng.normal(size=(size, size)), np.empty((size, size))
    return size**3 / least_seconds(lambda: np.matmul(left, right, out=out), 30)


def read_bandwidth(kilobytes: int) -> float:
    """Bytes per second of a dot product of an array with itself, repeated so that it stays in its cache."""
    array = np.ones(kilobytes * 128)
    inner = max(1, 20000 // kilobytes)

    def work() -> None:
        for _ in range(inner):
            np.dot(array, array)

    return inner * array.nbytes / least_seconds(work, 30)


def main() -> None:
    limit_threads(1)
    console = Console(width=100)
    for name, value in machine().items():
        console.print(f"{name}: {value}", highlight=False)
    console.print(f"matrix product: {multiply_adds() / 1e9:.1f} thousand million multiply-adds per second")
    for kilobytes, place in ((256, "second-level cache"), (65536, "memory or last level")):
        console.print(f"{place}, {kilobytes} KiB: {read_bandwidth(kilobytes) / 1e9:.1f} GB/s")


if __name__ == "__main__":
    main()
