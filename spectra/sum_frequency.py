"""Sum-frequency generation of slabs, χ_ssp, from fluxes of whole molecules."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import SeriesError
from .conditions import Conditions
from .estimates import Estimate, jackknife
from .flux import transfer_of_difference
from .kramers_kronig import real_permittivity
from .spectrum import Column, Spectrum, notes_of
from .transform import even_transform, wavenumbers
from .units import ANGSTROM, ELEMENTARY_CHARGE, angular_frequency, thermal_energy
from .window import Window

FACES = ("upper", "lower")
TERMS = ("self", "near", "all")


@dataclass(frozen=True)
class Slab:
    """A slab with two faces, its normal along z.

    Parameters
    ----------
    cell : ndarray of float64, shape (3, 3)
        Lattice vectors in Å, one per row; the third along z, the others in the plane.
    inner, outer : float
        Distances from the centre in Å between which the weight of a molecule rises from 0 to 1.
    near : float
        Distance in Å within which neighbours count in the term ``near``.

    Raises
    ------
    SeriesError
        If the cell's third vector is not along z, or the distances are not in order.
    """

    cell: np.ndarray
    inner: float = 1.0
    outer: float = 4.0
    near: float = 4.0

    def __post_init__(self) -> None:
        cell = np.asarray(self.cell, dtype=np.float64)
        object.__setattr__(self, "cell", cell)
        if cell.shape != (3, 3) or np.abs([cell[0, 2], cell[1, 2], *cell[2, :2]]).max() > 1e-6 * np.abs(cell).max():
            raise SeriesError(f"the cell is {cell.tolist()} Å; the normal of a slab must be z, and its third vector")
        if not 0 <= self.inner <= self.outer:
            raise SeriesError(f"inner and outer are {self.inner} and {self.outer} Å; 0 <= inner <= outer is needed")

    @property
    def area(self) -> float:
        """Area of one face in Å²."""
        return float(abs(self.cell[0, 0] * self.cell[1, 1] - self.cell[0, 1] * self.cell[1, 0]))

    def heights(self, positions: np.ndarray) -> np.ndarray:
        """Heights of molecules (samples, molecules, 3) above the slab's centre, in Å, shape (samples, molecules)."""
        length = self.cell[2, 2]
        # the mean of angles, as a slab may lie across the border of the cell
        turns = np.exp(2j * np.pi / length * positions[..., 2]).mean(axis=-1, keepdims=True)
        heights = positions[..., 2] - np.angle(turns) * length / (2 * np.pi)
        wrapped = heights - length * np.rint(heights / length)
        return wrapped - wrapped.mean(axis=-1, keepdims=True)

    def weight(self, heights: np.ndarray) -> np.ndarray:
        """f(z), from 0 in the middle to 1 at the faces: sin² of the way from `inner` to `outer`."""
        way = (np.abs(heights) - self.inner) / max(self.outer - self.inner, 1e-12)
        return np.sin(np.pi / 2 * np.clip(way, 0.0, 1.0)) ** 2

    def neighbours(self, positions: np.ndarray) -> np.ndarray:
        """Which molecules are within `near` of each other, itself included, shape (samples, molecules, molecules)."""
        vectors = positions[:, :, None] - positions[:, None]
        inverse = np.linalg.inv(self.cell)
        vectors -= np.rint(vectors @ inverse) @ self.cell
        return np.einsum("...a,...a->...", vectors, vectors) < self.near**2


def weighted_fluxes(
    dipole_flux: np.ndarray, polarizability_flux: np.ndarray, positions: np.ndarray, slab: Slab
) -> dict[tuple[str, str], tuple[np.ndarray, np.ndarray]]:
    """The series to correlate, μ̇_z at the earlier and α̇_xx at the later time, for every face and term.

    Fluxes of molecules are weighted with f(z), not dipoles: a weighted dipole would change as the molecule moves
    through the slab.  With z → −z μ_z is odd and α_xx even, so that the lower face counts with the opposite sign.
    α_xx is averaged with α_yy.  The term ``self`` is of single molecules, ``near`` adds neighbours within a distance at
    the earlier time (Ohto, Usui, Hasegawa, Bonn, Nagata, J. Chem. Phys. 143, 124702 (2015)), ``all`` is that of the
    whole face.

    Parameters
    ----------
    dipole_flux : ndarray of float64, shape (samples, molecules, 3)
    polarizability_flux : ndarray of float64, shape (samples, molecules, 3, 3)
    positions : ndarray of float64, shape (samples, molecules, 3)
        In Å, at the times of the fluxes.
    slab : Slab

    Returns
    -------
    dict of (face, term) to (earlier, later)
        Arrays (samples, components).
    """
    heights = slab.heights(positions)
    weight = slab.weight(heights)
    dipoles = dipole_flux[..., 2]
    polarizabilities = 0.5 * (polarizability_flux[..., 0, 0] + polarizability_flux[..., 1, 1])
    near = slab.neighbours(positions)
    series = {}
    for face, sign in zip(FACES, (1.0, -1.0), strict=True):
        here = np.where(sign * heights > 0, weight, 0.0)
        earlier, later = sign * here * dipoles, here * polarizabilities
        around = np.einsum("smn,sm->sn", near, earlier)
        series[face, "self"] = earlier, later
        series[face, "near"] = around, later
        series[face, "all"] = earlier.sum(axis=1, keepdims=True), later.sum(axis=1, keepdims=True)
    return series


def susceptibility(
    correlation: np.ndarray,
    conditions: Conditions,
    window: Window,
    wavenumber: np.ndarray,
    area: float,
    is_difference: bool = True,
) -> np.ndarray:
    """χ_xxz(ω) = iβ/(ω S ε0) ∫_0^∞ e^{iωt} ⟨Ȧ_xx(t) Ṁ_z(0)⟩ dt of one face.

    The correlation function is even in time, as both fluxes change sign with it.  So Im χ is the cosine transform, from
    which the transfer function of the differences is divided out, and Re χ follows from it by Kramers–Kronig; an
    integral from t = 0 on of the differences themselves would give a wrong real part.

    In the convention e^{−iωt} for fields, in which a mode q with M = b q, A = a q gives ab/[m(ω0² − ω² − iγω)]: Im χ is
    positive where μ_z and α_xx grow together (Morita and Hynes, J. Phys. Chem. B 106, 673 (2002)).

    Parameters
    ----------
    correlation : ndarray of float64, shape (…, lags + 1)
        ⟨Ṁ_z(0) Ȧ_xx(t)⟩ in e·Å⁴/fs², the polarizability as a volume (A in SI is 4π ε0 times it).
    conditions : Conditions
    window : Window
    wavenumber : ndarray of float64, shape (frequencies,)
        In cm⁻¹, equally spaced from 0, below 0.7 of the Nyquist frequency.
    area : float
        S in Å².
    is_difference : bool
        Whether the fluxes are central differences.

    Returns
    -------
    ndarray of complex128, shape (…, frequencies)
        In 10⁻²² m²/V.
    """
    spacing = wavenumber[1] - wavenumber[0]
    whole = wavenumbers(conditions.timestep, np.inf, spacing)  # the real part needs what lies beyond, too
    transform = even_transform(correlation, conditions.timestep, window, whole) / 2
    if is_difference:
        transform = transform / transfer_of_difference(whole, conditions.timestep) ** 2
    imaginary = np.zeros_like(transform)
    imaginary[..., 1:] = transform[..., 1:] / angular_frequency(whole[1:])
    in_si = 4 * np.pi * ELEMENTARY_CHARGE * ANGSTROM**4 / ANGSTROM**2  # fs²/fs² cancel; ε0 has cancelled
    unit = in_si / (thermal_energy(conditions.temperature) * area) * 1e22
    return unit * (real_permittivity(imaginary, 0.0) + 1j * imaginary)[..., : len(wavenumber)]


def sum_frequency_spectrum(
    correlations: dict[tuple[str, str], Estimate],
    conditions: Conditions,
    window: Window,
    slab: Slab,
    wavenumber: np.ndarray | None = None,
    is_difference: bool = True,
) -> Spectrum:
    """Sum-frequency spectrum χ_ssp with standard errors.

    Parameters
    ----------
    correlations : dict of (face, term) to Estimate
        Those of `weighted_fluxes`.
    conditions : Conditions
    window : Window
    slab : Slab
    wavenumber : ndarray of float64, optional
        In cm⁻¹, equally spaced from 0; up to 5000 cm⁻¹ by default.
    is_difference : bool
        Whether the fluxes are central differences.

    Returns
    -------
    Spectrum
        For every term ``TERM_real``, ``TERM_imaginary`` and ``TERM_squared``, the mean of both faces; for each face
        ``TERM_imaginary_FACE``.  In 10⁻²² m²/V, or its square.
    """
    grid = wavenumbers(conditions.timestep) if wavenumber is None else wavenumber
    data: dict[str, Column] = {}
    unit = "1e-22 m^2/V"

    def both(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
        faces = [susceptibility(face, conditions, window, grid, slab.area, is_difference) for face in (upper, lower)]
        mean = (faces[0] + faces[1]) / 2
        return np.stack([mean.real, mean.imag, np.abs(mean) ** 2, faces[0].imag, faces[1].imag], axis=-2)

    for term in TERMS:
        values, errors = jackknife(both, *(correlations[face, term] for face in FACES))
        names = ["real", "imaginary", "squared", *(f"imaginary_{face}" for face in FACES)]
        for k, name in enumerate(names):
            data[f"{term}_{name}"] = Column(values[k], errors[k], f"({unit})^2" if name == "squared" else unit)
    notes = notes_of(conditions, window, correlations["upper", "self"])
    notes["susceptibility"] = (
        "chi_xxz, xx averaged with yy, of one face: mean of upper and lower; convention e^(-i w t), a mode whose "
        "dipole along the outward normal and polarizability grow together has a positive imaginary part"
    )
    notes["terms"] = f"self: of single molecules; near: and neighbours within {slab.near:g} A; all: of the whole face"
    notes["weight"] = f"from 0 at {slab.inner:g} to 1 at {slab.outer:g} A from the centre of the slab"
    notes["polarizability"] = "local, of molecules, without the field of their neighbours"
    return Spectrum("sfg", "Sum-frequency generation, ssp", grid, data, notes)
