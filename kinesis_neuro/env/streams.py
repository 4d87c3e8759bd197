"""Random numbers of environments, each from a stream of its own.

What one environment draws depends on the seed, on its number and on how often it has drawn, and on
no other environment: so a batch is the same in one process and spread over many. The numbers come
from a counter-based generator, Philox-4x32-10 (Salmon et al. 2011), for all environments at once.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

_WORD = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
_MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_ROUNDS = 10


def philox(counter: NDArray[np.uint64], key: tuple[int, int]) -> NDArray[np.uint64]:
    """Philox-4x32-10: random words from counters.

    Parameters
    ----------
    counter : ndarray of uint64, shape (4, ...)
        Four words of 32 bits each.
    key : tuple of int
        Two words of 32 bits.

    Returns
    -------
    ndarray of uint64, shape (4, ...)
        Four random words of 32 bits for each counter.

    Examples
    --------
    The authors' known answer for zeros:

    >>> [f"{word:08x}" for word in philox(np.zeros(4, dtype=np.uint64), (0, 0))]
    ['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']
    """
    a, b, c, d = counter
    first, second = np.uint64(key[0]), np.uint64(key[1])
    for _ in range(_ROUNDS):
        low, high = _MULTIPLIERS[0] * a, _MULTIPLIERS[1] * c
        a, b, c, d = (
            (high >> _SHIFT) ^ b ^ first,
            high & _WORD,
            (low >> _SHIFT) ^ d ^ second,
            low & _WORD,
        )
        first, second = (first + _WEYL[0]) & _WORD, (second + _WEYL[1]) & _WORD
    return np.stack([a, b, c, d])


class Streams:
    """Streams of random numbers of neighbouring environments.

    Parameters
    ----------
    seed : int
    n_envs : int
    first : int
        Number of the first environment, among all that share the seed.

    Attributes
    ----------
    environment : ndarray of int, shape (n_envs,)
        Numbers of the environments.
    drawn : ndarray of int, shape (n_envs,)
        How often each has drawn: all that there is of a stream's state.
    """

    def __init__(self, seed: int, n_envs: int, first: int = 0) -> None:
        words = np.random.SeedSequence(seed).generate_state(2)
        self.key = int(words[0]), int(words[1])
        self.environment = first + np.arange(n_envs)
        self.drawn = np.zeros(n_envs, dtype=np.int64)

    def state_arrays(self) -> dict[str, NDArray]:
        """Which streams they are, and where they are."""
        return {"environment": self.environment, "drawn": self.drawn}

    def set_state_arrays(self, arrays: Mapping[str, NDArray]) -> None:
        """Put back what :meth:`state_arrays` gave."""
        self.environment[:], self.drawn[:] = arrays["environment"], arrays["drawn"]

    def of(self, which: IntArray) -> Draws:
        """A generator that gives each of these environments numbers of its own."""
        return Draws(self, which)

    def uniform(self, which: IntArray, width: int) -> FloatArray:
        """The next numbers in [0, 1) of some environments, shape (n, width)."""
        n_blocks = -(-width // 2)
        counter = np.empty((4, which.size, n_blocks), dtype=np.uint64)
        drawn = self.drawn[which].astype(np.uint64)[:, None]
        counter[0] = np.arange(n_blocks, dtype=np.uint64)
        counter[1], counter[2] = drawn & _WORD, drawn >> _SHIFT
        counter[3] = self.environment[which].astype(np.uint64)[:, None]
        self.drawn[which] += 1
        words = philox(counter, self.key)
        # 53 bits of two words, as NumPy's own generators make doubles.
        high, low = words[::2] >> np.uint64(5), words[1::2] >> np.uint64(6)
        doubles = (high * np.uint64(1 << 26) + low) * 2.0**-53
        values: FloatArray = np.moveaxis(doubles, 0, -1).reshape(which.size, 2 * n_blocks)[
            :, :width
        ]
        return values


class Draws:
    """What environments draw with: the part of NumPy's generator that they use.

    The first axis of whatever is drawn is that of the environments.

    Parameters
    ----------
    streams : Streams
    which : ndarray of int, shape (n,)
        Rows of the environments in the streams.
    """

    def __init__(self, streams: Streams, which: IntArray) -> None:
        self.streams, self.which = streams, which

    def random(self, size: int | tuple[int, ...]) -> FloatArray:
        """Uniform in [0, 1), shape (n, ...)."""
        shape = (size,) if isinstance(size, int) else tuple(size)
        if shape[0] != self.which.size:
            raise ValueError(f"{self.which.size} environments cannot draw {shape[0]} rows")
        width = int(np.prod(shape[1:], dtype=int))
        return self.streams.uniform(self.which, width).reshape(shape)

    def uniform(self, low: ArrayLike, high: ArrayLike, size: int | tuple[int, ...]) -> FloatArray:
        """Uniform from ``low`` to ``high``, shape (n, ...)."""
        low, high = np.asarray(low, dtype=float), np.asarray(high, dtype=float)
        return low + (high - low) * self.random(size)

    def integers(self, low: ArrayLike, high: ArrayLike) -> IntArray:
        """Whole numbers from ``low`` to below ``high``, one for each environment."""
        low, high = np.asarray(low), np.asarray(high)
        drawn = self.random(self.which.size) * (high - low)
        # The largest double below 1 may round up to the end.
        return (low + np.minimum(drawn.astype(np.intp), high - low - 1)).astype(np.intp)

    def choice(self, n: int, size: int, p: FloatArray) -> IntArray:
        """Numbers below ``n`` with probabilities ``p``, one for each environment."""
        edges = np.cumsum(p)
        drawn = self.random(size) * edges[-1]
        return np.minimum(np.searchsorted(edges, drawn, side="right"), n - 1)

    def standard_normal(self, size: int | tuple[int, ...]) -> FloatArray:
        """Standard normal numbers, shape (n, ...), by Box and Muller (1958)."""
        shape = (size,) if isinstance(size, int) else tuple(size)
        radius, angle = np.moveaxis(self.random((*shape, 2)), -1, 0)
        # 1 - u lies in (0, 1], of which there is a logarithm.
        return np.sqrt(-2.0 * np.log1p(-radius)) * np.cos(2.0 * np.pi * angle)
