"""Build beadwise: the top-level folders are the rooms of the package ``beadwise``.

Metadata lives in ``pyproject.toml``.  This file maps folders to packages and compiles the kernels.
``BEADWISE_DEBUG=1`` compiles with bounds checks, debug symbols and without optimisation; ``BEADWISE_OPENMP=0`` compiles
for one thread, as is done by itself where the compiler has no OpenMP.
"""

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, LinkError

ROOMS = "pyx potentials properties spectra sampling model runs learning analysis driver inputs".split()
PACKAGES = [file.parent for room in ROOMS for file in sorted(Path(room).rglob("__init__.py"))]
# base/ is the package itself: a folder called beadwise would hide the installed package from tests at the root
FOLDERS = {"beadwise": "base", "beadwise.page": "base/page"}
FOLDERS |= {f"beadwise.{'.'.join(folder.parts)}": str(folder) for folder in PACKAGES}
WATER_HEADERS = [
    f"{name}.hpp"
    for name in (
        "water",
        "water_instruction_set",
        "parallel",
        "processor",
        "simd",
        "lattice",
        "screening",
        "waves",
        "ewald",
        "flexible_water",
    )
]
ELECTROSTATICS_HEADERS = [
    f"{name}.hpp"
    for name in (
        "electrostatics",
        "electrostatics_instruction_set",
        "coulomb_table",
        "coulomb_functions",
        "near_sites",
        "near_moments",
        "moment_waves",
        "fourier",
        "moment_mesh",
        "moments",
        "induction",
        "neighbours",
        "parallel",
        "processor",
        "simd",
    )
]
COUPLED_SUMS_HEADERS = [
    f"{name}.hpp"
    for name in (
        "coupled_sums",
        "coupled_sums_instruction_set",
        "coupled_sums_of_centres",
        "pair_functions",
        "harmonics",
        "parallel",
        "processor",
        "simd",
        "tables",
    )
]
DEBUG = os.environ.get("BEADWISE_DEBUG") == "1"
WANTS_OPENMP = os.environ.get("BEADWISE_OPENMP") != "0"
# Python's own flags ask for debug symbols, which make a wheel five times as large
OPTIMISE = ["-O0", "-g"] if DEBUG else ["-O2", "-g0", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"]
OPTIMISE += [] if DEBUG else ["-fvisibility=hidden"]
SMALL = [] if DEBUG else ["-Os"]  # for what takes little time: together 0.03 MB of a wheel
STRIP = []
if sys.platform.startswith("linux") and not DEBUG:
    OPTIMISE += ["-fno-plt"]
    STRIP += ["-Wl,-s", "-Wl,-O1"]
SHARED = "beadwise.pyx.shared_utilities"
OPENMP_FLAGS = [  # to compile and to link: GCC and clang; Apple's clang with the libomp of a package manager
    (["-fopenmp"], ["-fopenmp"]),
    (["-Xpreprocessor", "-fopenmp"], ["-lomp"]),
]
OPENMP_PROGRAM = "#include <omp.h>\nint main() { return omp_get_max_threads() > 0 ? 0 : 1; }\n"
ONE_THREAD = "the compiler has no OpenMP, or BEADWISE_OPENMP=0: beadwise is built for one thread of each process"


class BuildKernels(build_ext):
    """Compile for several threads where the compiler can."""

    def build_extensions(self) -> None:
        """Add the flags of OpenMP, or say that there are none."""
        flags = self.find_openmp() if WANTS_OPENMP else None
        if flags is None:
            self.warn(ONE_THREAD)
        for kernel in self.extensions:
            kernel.extra_compile_args += flags[0] if flags else []
            kernel.extra_link_args += flags[1] if flags else []
        self.parallel = self.parallel or True  # as many at a time as there are cores
        super().build_extensions()

    def find_openmp(self):
        """Flags with which a program with OpenMP is compiled and linked; None if there are none."""
        with TemporaryDirectory() as folder:
            source = Path(folder, "openmp.cpp")
            source.write_text(OPENMP_PROGRAM, encoding="ascii")
            for compile_flags, link_flags in OPENMP_FLAGS:
                try:
                    objects = self.compiler.compile([str(source)], output_dir=folder, extra_postargs=compile_flags)
                    self.compiler.link_executable(objects, "openmp", folder, extra_postargs=link_flags)
                    return compile_flags, link_flags
                except (CompileError, LinkError):
                    continue
        return None


def extension(name: str, depends: list[str], flags: list[str] = OPTIMISE) -> Extension:
    """One compiled kernel: ``pyx/<name>.pyx`` with the C++ headers it is built from."""
    return Extension(
        f"beadwise.pyx.{name}",
        [f"pyx/{name}.pyx"],
        depends=["pyx/core.pxi", *(f"pyx/{header}" for header in depends)],
        include_dirs=[numpy.get_include(), "pyx"],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
        extra_compile_args=["-std=c++17", "-Wno-psabi", *flags],
        extra_link_args=[*STRIP],
        language="c++",
    )


def shared_by_kernels() -> Extension:
    """What Cython would compile into each kernel again, above all its memoryviews: 0.1 MB of a wheel."""
    source = f"pyx/{SHARED.rpartition('.')[2]}.c"  # written by Cython
    return Extension(SHARED, [source], extra_compile_args=[*OPTIMISE, *SMALL], extra_link_args=[*STRIP])


setup(
    packages=sorted(FOLDERS),
    package_dir=FOLDERS,
    include_package_data=False,  # of what the source distribution holds, a wheel needs only this
    package_data={
        "beadwise": ["py.typed"],
        "beadwise.learning.data": ["*.toml"],
        "beadwise.page": ["*.html", "*.css", "*.js", "*.txt"],
        "beadwise.analysis.report": ["*.html", "*.js"],
        "beadwise.learning.pictures": ["*.html"],
        "beadwise.inputs": ["*.xml", "*.xyz", "*.safetensors", "*.dat", "*.toml", "*.sh", "*.inp"],
    },
    cmdclass={"build_ext": BuildKernels},
    ext_modules=cythonize(
        [
            extension("kernel", sorted(path.name for path in Path("pyx").glob("*.hpp"))),
            extension("water", WATER_HEADERS),
            extension("electrostatics", ELECTROSTATICS_HEADERS),
            extension("pairs", ["pairs.hpp", "neighbours.hpp"], [*OPTIMISE, *SMALL]),
            extension("coupled_sums", COUPLED_SUMS_HEADERS),
            extension("json_numbers", ["json_numbers.hpp"], [*OPTIMISE, *SMALL]),
            shared_by_kernels(),
        ],
        shared_utility_qualified_name=SHARED,
        compiler_directives={
            "language_level": 3,
            "boundscheck": DEBUG,
            "wraparound": False,
            "initializedcheck": DEBUG,
            "cdivision": True,
        },
    ),
)
