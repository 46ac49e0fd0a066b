"""Build beadwise: the top-level folders are the rooms of the package ``beadwise``.

Metadata lives in ``pyproject.toml``.  This file maps folders to packages and compiles the kernels.
Set ``BEADWISE_DEBUG=1`` while building to compile with bounds checks and without optimisation.
"""

import os
import sys
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup

ROOMS = "pyx potentials properties spectra sampling model runs learning analysis driver inputs".split()
PACKAGES = [file.parent for room in ROOMS for file in sorted(Path(room).rglob("__init__.py"))]
# base/ is the package itself: a folder called beadwise would hide the installed package from tests at the root
FOLDERS = {"beadwise": "base"} | {f"beadwise.{'.'.join(folder.parts)}": str(folder) for folder in PACKAGES}
WATER_HEADERS = [
    f"{name}.hpp"
    for name in (
        "water",
        "water_instruction_set",
        "parallel",
        "simd",
        "lattice",
        "screening",
        "waves",
        "ewald",
        "flexible_water",
    )
]
DEBUG = os.environ.get("BEADWISE_DEBUG") == "1"
CAN_USE_OPENMP = sys.platform.startswith("linux")


def extension(name: str, depends: list[str]) -> Extension:
    """One compiled kernel: ``pyx/<name>.pyx`` with the C++ headers it is built from."""
    openmp = ["-fopenmp"] if CAN_USE_OPENMP else []
    optimise = ["-O0", "-g"] if DEBUG else ["-O2", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"]
    return Extension(
        f"beadwise.pyx.{name}",
        [f"pyx/{name}.pyx"],
        depends=["pyx/core.pxi", *(f"pyx/{header}" for header in depends)],
        include_dirs=[numpy.get_include(), "pyx"],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
        extra_compile_args=["-std=c++17", "-Wno-psabi", *optimise, *openmp],
        extra_link_args=openmp,
        language="c++",
    )


setup(
    packages=sorted(FOLDERS),
    package_dir=FOLDERS,
    package_data={
        "beadwise": ["py.typed"],
        "beadwise.inputs": ["*.xml", "*.xyz", "*.safetensors", "*.dat", "*.toml", "*.sh", "*.inp"],
        "beadwise.pyx": ["*.hpp", "*.pxi"],
    },
    ext_modules=cythonize(
        [
            extension("kernel", sorted(path.name for path in Path("pyx").glob("*.hpp"))),
            extension("water", WATER_HEADERS),
            extension("json_numbers", ["json_numbers.hpp"]),
        ],
        compiler_directives={
            "language_level": 3,
            "boundscheck": DEBUG,
            "wraparound": False,
            "initializedcheck": DEBUG,
            "cdivision": True,
        },
    ),
)
