"""Time correlation functions, accumulated block by block while the series comes in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy

from ..errors import SeriesError
from .errors import NotComputedError

SHORTEST_CHUNK = 64  # samples: shorter transforms would spend their time on being called
FEWEST_BLOCKS = 16  # blocks are joined in pairs when there are twice as many, so that memory stays bounded


@dataclass
class LaggedSums:
    """Sums over all pairs of samples whose later one lies in a block, for every lag.

    Parameters
    ----------
    products : ndarray of float64, shape (lags + 1,)
        Σ_t Σ_p a_p(t − k) b_p(t).
    pairs : ndarray of float64, shape (lags + 1,)
        Number of the pairs.
    earlier, later : ndarray of float64, shape (lags + 1, components) or (0, components)
        Σ_t a(t − k) and Σ_t b(t), for the removal of the mean; empty where it is not removed.
    """

    products: np.ndarray
    pairs: np.ndarray
    earlier: np.ndarray
    later: np.ndarray

    def __add__(self, other: LaggedSums) -> LaggedSums:
        return LaggedSums(
            self.products + other.products,
            self.pairs + other.pairs,
            self.earlier + other.earlier,
            self.later + other.later,
        )


class Correlation:
    """The correlation function C(k) = ⟨Σ_p a_p(0) b_p(k)⟩ of one trajectory, for lags k = 0 … `lags`.

    The series may come in pieces of any length; the result is the same to the last bit however it was cut, and
    however often the accumulator was stored and read again.  Every pair of samples that the series holds counts
    (Σ a(t) b(t + k) / (N − k), the unbiased estimate; Allen and Tildesley, Computer Simulation of Liquids, section
    8.3).  The sums are made by fast Fourier transforms of chunks of at least `lags`/2 samples, each preceded by the
    `lags` samples before it, so that no pair is lost at a border and none is wrapped around.

    Parameters
    ----------
    lags : int
        Highest lag, in samples.
    remove_mean : bool
        Whether to correlate the deviations from the mean over the whole trajectory.

    Raises
    ------
    SeriesError
        If `lags` is below 1.
    """

    def __init__(self, lags: int, remove_mean: bool = False):
        if lags < 1:
            raise SeriesError(f"the highest lag is {lags} samples; at least 1 is needed")
        self.lags = lags
        self.remove_mean = remove_mean
        self._transform_length = scipy.fft.next_fast_len(lags + max(SHORTEST_CHUNK, (lags + 1) // 2), real=True)
        self._reset()

    def _reset(self) -> None:
        self._blocks: list[LaggedSums] = []
        self._chunks_of_block = 1  # chunks, each of chunk_length samples, that make a block
        self._chunks_of_last = 0
        self._past = np.zeros((2, 0, 0))  # the series before `_pending`, at most `lags` samples
        self._pending = np.zeros((2, 0, 0))
        self._totals = np.zeros((2, 0))
        self._samples = 0

    @property
    def chunk_length(self) -> int:
        """Samples that one transform adds."""
        return self._transform_length - self.lags

    @property
    def samples(self) -> int:
        """Samples received."""
        return self._samples

    def compute(self, first: np.ndarray, second: np.ndarray | None = None, reset: bool = True) -> Correlation:
        """Add the next samples of the series.

        Parameters
        ----------
        first : ndarray of float64, shape (samples, components) or (samples,)
            The series a.
        second : ndarray of float64, same shape, optional
            The series b; `first` again if not given.
        reset : bool
            Whether to forget what was added before.

        Returns
        -------
        Correlation
            This accumulator.

        Raises
        ------
        SeriesError
            If the shapes do not fit each other or what was added before, or a sample is not finite.
        """
        if reset:
            self._reset()
        added = _checked_series(first, first if second is None else second)
        if self._samples and added.shape[2] != self._pending.shape[2]:
            raise SeriesError(f"samples have {added.shape[2]} components; those before had {self._pending.shape[2]}")
        if not self._samples:
            self._past = self._pending = np.zeros((2, 0, added.shape[2]))
        self._samples += added.shape[1]
        self._pending = np.concatenate([self._pending, added], axis=1)
        while self._pending.shape[1] >= self.chunk_length:
            chunk, self._pending = np.split(self._pending, [self.chunk_length], axis=1)
            self._totals = _sum_of(chunk, self._totals)
            self._store(self._sums_of(chunk))
            self._past = np.concatenate([self._past, chunk], axis=1)[:, -self.lags :]
        self._pending = self._pending.copy()  # or the whole piece would stay in memory
        return self

    def _store(self, sums: LaggedSums) -> None:
        """Add a chunk to the last block, or begin a new one; join blocks in pairs when there are many."""
        if self._blocks and self._chunks_of_last < self._chunks_of_block:
            self._blocks[-1] = self._blocks[-1] + sums
            self._chunks_of_last += 1
        else:
            self._blocks.append(sums)
            self._chunks_of_last = 1
        if len(self._blocks) == 2 * FEWEST_BLOCKS and self._chunks_of_last == self._chunks_of_block:
            self._blocks = [self._blocks[i] + self._blocks[i + 1] for i in range(0, len(self._blocks), 2)]
            self._chunks_of_block *= 2
            self._chunks_of_last = self._chunks_of_block

    def _sums_of(self, chunk: np.ndarray) -> LaggedSums:
        """Sums over the pairs whose later sample is in `chunk`, shape (2, samples, components)."""
        lags, length = self.lags, chunk.shape[1]
        known = self._past.shape[1]
        earlier = np.zeros((self._transform_length, chunk.shape[2]))
        later = np.zeros_like(earlier)
        earlier[lags - known : lags] = self._past[0]
        earlier[lags : lags + length] = chunk[0]
        later[lags : lags + length] = chunk[1]
        spectrum = (np.conj(scipy.fft.rfft(earlier, axis=0)) * scipy.fft.rfft(later, axis=0)).sum(axis=1)
        products = scipy.fft.irfft(spectrum, self._transform_length)[: lags + 1]
        reach = np.arange(lags + 1)
        pairs = np.clip(length - np.maximum(reach - known, 0), 0, None).astype(np.float64)
        products = np.where(pairs > 0, products, 0.0)  # what no pair adds to is rounding error
        return LaggedSums(products, pairs, *self._sums_for_mean(earlier, later, length, known))

    def _sums_for_mean(
        self, earlier: np.ndarray, later: np.ndarray, length: int, known: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Σ a(t − k) and Σ b(t) over the pairs of a chunk, each (lags + 1, components)."""
        lags = self.lags
        if not self.remove_mean:
            return np.zeros((0, earlier.shape[1])), np.zeros((0, earlier.shape[1]))
        before = np.concatenate([np.zeros((1, earlier.shape[1])), np.cumsum(earlier, axis=0)])
        after = np.concatenate([np.zeros((1, later.shape[1])), np.cumsum(later, axis=0)])
        reach = np.arange(lags + 1)
        first = np.maximum(lags, reach + lags - known)  # place of the first later sample that has a partner
        first = np.minimum(first, lags + length)
        sum_later = after[lags + length] - after[first]
        sum_earlier = before[np.maximum(lags + length - reach, first - reach)] - before[first - reach]
        return sum_earlier, sum_later

    def blocks(self) -> list[LaggedSums]:
        """Sums of each block; samples that do not fill a chunk yet go with the last one.

        Raises
        ------
        NotComputedError
            If nothing was added.
        """
        if not self._samples:
            raise NotComputedError("no series was added; call compute first")
        blocks = list(self._blocks)
        if self._pending.shape[1]:
            rest = self._sums_of(self._pending)
            if blocks:
                blocks[-1] = blocks[-1] + rest
            else:
                blocks.append(rest)
        return blocks

    def means(self) -> np.ndarray:
        """Mean of the two series over the whole trajectory, shape (2, components)."""
        if not self._samples:
            raise NotComputedError("no series was added; call compute first")
        return _sum_of(self._pending, self._totals) / self._samples

    @property
    def values(self) -> np.ndarray:
        """C(k), shape (lags + 1,); not a number where the series is too short for the lag."""
        from .estimates import estimate  # which is made of accumulators

        return estimate([self]).values

    def state(self) -> dict[str, np.ndarray]:
        """All that has been accumulated, as arrays that ``numpy.savez`` stores."""
        blocks = {
            name: np.array([getattr(block, name) for block in self._blocks])
            for name in ("products", "pairs", "earlier", "later")
        }
        counts = [self.lags, self.remove_mean, self._chunks_of_block, self._chunks_of_last, self._samples]
        return {
            **blocks,
            "counts": np.array(counts, dtype=np.int64),
            "past": self._past,
            "pending": self._pending,
            "totals": self._totals,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, np.ndarray]) -> Correlation:
        """Make an accumulator that goes on where another one was stored.

        Parameters
        ----------
        state : mapping of str to ndarray
            What `state` gave, also after ``numpy.savez`` and ``numpy.load``.
        """
        lags, remove_mean, of_block, of_last, samples = (int(count) for count in state["counts"])
        self = cls(lags, bool(remove_mean))
        self._chunks_of_block, self._chunks_of_last, self._samples = of_block, of_last, samples
        self._past, self._pending, self._totals = (np.array(state[name]) for name in ("past", "pending", "totals"))
        columns = [state[name] for name in ("products", "pairs", "earlier", "later")]
        self._blocks = [LaggedSums(*arrays) for arrays in zip(*columns, strict=True)]
        return self


def _sum_of(samples: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Add samples (2, samples, components) to totals (2, components)."""
    sums = samples.sum(axis=1)
    return before + sums if before.shape == sums.shape else sums


def _checked_series(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Both series as one array (2, samples, components)."""
    arrays = [np.asarray(series, dtype=np.float64) for series in (first, second)]
    arrays = [array[:, None] if array.ndim == 1 else array for array in arrays]
    if arrays[0].ndim != 2 or arrays[0].shape != arrays[1].shape:
        raise SeriesError(
            f"the series have the shapes {np.shape(first)} and {np.shape(second)}; "
            "both must be (samples, components), with the same numbers"
        )
    stacked = np.stack(arrays)
    if not np.isfinite(stacked).all():
        sample = int(np.argwhere(~np.isfinite(stacked).all(axis=(0, 2)))[0, 0])
        raise SeriesError(f"sample {sample} of the series is not finite")
    return stacked
