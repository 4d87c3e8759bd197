"""Ground truth with its answer in it: gait EMG made of known synergies, lags, jitter and noise."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from kinesis_neuro.errors import InvalidInputError
from kinesis_neuro.schema import encode_attr, make_variable

FloatArray = NDArray[np.float64]

CHANNELS = (
    *("soleus", "gastrocnemius_medialis", "gastrocnemius_lateralis", "tibialis_anterior"),
    *("semimembranosus", "biceps_femoris", "vastus_lateralis", "rectus_femoris"),
    *("vastus_medialis", "gluteus_maximus", "gluteus_medius", "tensor_fasciae_latae"),
    *("adductor_longus", "peroneus_longus", "semitendinosus", "sartorius"),
)
"""Names that the first channels get; further ones are ``channel_17`` and so on."""

_CYCLE_DURATION = 1.1  # [s], of an adult who walks at 1 m/s


def gait_emg(
    n_subjects: int = 5,
    n_cycles: int = 20,
    n_synergies: int = 4,
    lag: ArrayLike = 0.0,
    snr_db: float = 20.0,
    seed: int = 0,
    *,
    n_channels: int = 9,
    n_phase: int = 101,
    jitter: float = 0.01,
    subject_sd: float = 0.0,
    exclusive: float = 0.0,
) -> xr.Dataset:
    """Make envelopes of walking people of which everything is known.

    Each channel is a non-negative mixture of `n_synergies` bursts around the cycle (von Mises
    bumps, as basic patterns of gait look: Ivanenko et al. 2004). All randomness but that of the
    lag comes from `seed`: the same seed with another lag gives the same signals, later.

    Parameters
    ----------
    n_subjects, n_cycles, n_synergies : int
        People, cycles of each, and synergies that all of them share.
    lag : float or array_like, shape (n_subjects,)
        By how much of a cycle the signals are later than without [cycles].
    snr_db : float
        Power of the envelope about its mean over that of the noise [dB]. Values below zero are
        cut off, as envelopes have none, so that a little of the noise is lost.
    seed : int
        Seed of everything.
    n_channels : int
        Channels; the first sixteen have names of muscles (:data:`CHANNELS`).
    n_phase : int
        Points of the closed grid of phase.
    jitter : float
        SD of the shift of a single cycle [cycles].
    subject_sd : float
        How people differ: SD of the logarithm of their weights, and ten percent of it as the SD
        of their bursts' timing [cycles].
    exclusive : float
        Part of the small weights (muscles that a synergy is not mainly about) that are zero, 0 to
        1. With none, as by default, no muscle is free of any synergy; the mixture then has many
        exact factorisations, of which the one it was made of is nothing special (Donoho & Stodden
        2003). From about three quarters on, there is next to one.

    Returns
    -------
    xarray.Dataset
        ``envelope (subject, cycle, phase, channel)`` [1], and the answer: ``synergy_weight
        (subject, synergy, channel)``, ``synergy_activation (subject, synergy, phase)``,
        ``true_envelope (subject, phase, channel)`` without noise and jitter, ``true_lag
        (subject)`` [1], ``cycle_shift (subject, cycle)`` [1].

    Raises
    ------
    InvalidInputError
        If a count is below one, there are more synergies than channels, or a spread is negative.

    Examples
    --------
    >>> emg = gait_emg(n_subjects=2, n_cycles=3, lag=0.1)
    >>> dict(emg.envelope.sizes)
    {'subject': 2, 'cycle': 3, 'phase': 101, 'channel': 9}
    >>> emg.true_lag.values
    array([0.1, 0.1])
    """
    counts = {"n_subjects": n_subjects, "n_cycles": n_cycles, "n_synergies": n_synergies}
    for name, count in (counts | {"n_channels": n_channels}).items():
        if count < 1:
            raise InvalidInputError(f"{name} must be 1 or more, got {count}.")
    if n_synergies > n_channels:
        raise InvalidInputError(
            f"{n_synergies} synergies cannot be told apart on {n_channels} channels. "
            "Ask for fewer, or for more channels."
        )
    if n_phase < 3 or jitter < 0 or subject_sd < 0:
        raise InvalidInputError(
            "n_phase must be 3 or more, jitter and subject_sd not negative; got "
            f"{n_phase}, {jitter}, {subject_sd}."
        )
    if not 0 <= exclusive <= 1:
        raise InvalidInputError(f"exclusive must lie between 0 and 1, got {exclusive}.")
    rng = np.random.default_rng(seed)
    lags = np.broadcast_to(np.asarray(lag, dtype=float), (n_subjects,)).copy()
    center = (np.arange(n_synergies) + rng.uniform(0.2, 0.8, n_synergies)) / n_synergies
    width = rng.uniform(0.05, 0.10, n_synergies)
    centers = center + 0.1 * subject_sd * rng.standard_normal((n_subjects, n_synergies))
    weights = _weights(rng, n_synergies, n_channels, exclusive)
    weights = weights * np.exp(
        subject_sd * rng.standard_normal((n_subjects, n_synergies, n_channels))
    )
    shift = jitter * rng.standard_normal((n_subjects, n_cycles))
    phase = np.linspace(0.0, 1.0, n_phase)

    def bumps(at: FloatArray) -> FloatArray:
        """Activations at phases (subject, ..., phase) -> (subject, ..., synergy, phase)."""
        middle = centers.reshape(n_subjects, *[1] * (at.ndim - 2), n_synergies, 1)
        kappa = (1 / (2 * np.pi * width) ** 2)[:, None]
        return np.exp(kappa * (np.cos(2 * np.pi * (at[..., None, :] - middle)) - 1))

    activation = bumps(phase - lags[:, None])
    single = bumps(phase - lags[:, None, None] - shift[..., None])
    truth = np.einsum("nsp,nsc->npc", activation, weights)
    envelope = np.einsum("nksp,nsc->nkpc", single, weights)
    power = envelope.var(axis=(1, 2), keepdims=True)
    noise = _cyclic_noise(rng, envelope.shape) * np.sqrt(power * 10 ** (-snr_db / 10))
    envelope = np.maximum(envelope + noise, 0.0)

    names = [*CHANNELS[:n_channels], *(f"channel_{i + 1}" for i in range(16, n_channels))]
    unit = {"units": "1"}
    return xr.Dataset(
        {
            "envelope": (("subject", "cycle", "phase", "channel"), envelope, unit),
            "true_envelope": (("subject", "phase", "channel"), truth, unit),
            "synergy_weight": (("subject", "synergy", "channel"), weights, unit),
            "synergy_activation": (("subject", "synergy", "phase"), activation, unit),
            "true_lag": ("subject", lags, unit),
            "cycle_shift": (("subject", "cycle"), shift, unit),
        },
        coords={
            "subject": ("subject", np.array([f"synthetic/{i + 1:02d}" for i in range(n_subjects)])),
            "cycle": make_variable("cycle", np.arange(n_cycles)),
            "phase": make_variable("phase", phase),
            "channel": ("channel", np.array(names)),
            "side": ("channel", np.full(n_channels, "right")),
            "synergy": make_variable("synergy", np.arange(n_synergies)),
        },
        attrs={
            "source": "kinesis_neuro.synthetic.gait_emg",
            "synthetic": encode_attr(
                counts
                | {"lag": lags, "snr_db": snr_db, "seed": seed, "jitter": jitter}
                | {"subject_sd": subject_sd, "exclusive": exclusive}
            ),
        },
    )


def raw_gait_emg(
    duration: float = 12.0,
    rate: float = 1000.0,
    seed: int = 0,
    *,
    n_channels: int = 9,
    n_synergies: int = 4,
    cycle_duration: float = _CYCLE_DURATION,
    duration_sd: float = 0.02,
    hum: float = 0.0,
) -> xr.Dataset:
    """Make raw EMG of a walking person: noise in the band of muscle, as loud as a known envelope.

    Parameters
    ----------
    duration : float
        [s]
    rate : float
        Samples a second [Hz], 400 or more.
    seed : int
        Seed of everything.
    n_channels, n_synergies : int
        As for :func:`gait_emg`.
    cycle_duration, duration_sd : float
        Mean of a cycle [s], and the SD of a single one as a part of it.
    hum : float
        Amplitude of 50 Hz mains relative to the loudest muscle.

    Returns
    -------
    xarray.Dataset
        ``emg (time, channel)`` [V] up to about half a millivolt, ``ground_force (time, contact,
        space)`` [N] with 62 % stance, and the answer ``true_envelope (time, channel)`` [1]. The
        attribute ``sampling_rate`` is the rate [Hz].

    Raises
    ------
    InvalidInputError
        If the rate is too low for EMG, or the duration below two cycles.

    Examples
    --------
    >>> emg = raw_gait_emg(duration=4.0)
    >>> emg.emg.dims, emg.emg.attrs["units"]
    (('time', 'channel'), 'V')
    """
    if rate < 400 or duration < 2 * cycle_duration:
        raise InvalidInputError(
            f"Raw EMG needs a rate of 400 Hz or more and two cycles ({2 * cycle_duration:g} s); "
            f"got {rate:g} Hz and {duration:g} s."
        )
    rng = np.random.default_rng(seed)
    emg = gait_emg(1, 1, n_synergies, snr_db=60, seed=seed, n_channels=n_channels, jitter=0.0)
    n = round(duration * rate)
    time = np.arange(n) / rate
    n_cycles = int(np.ceil(1.5 * duration / cycle_duration)) + 2
    lengths = cycle_duration * (1 + duration_sd * rng.standard_normal(n_cycles))
    strikes = np.r_[0.0, np.cumsum(lengths)] - 0.4 * cycle_duration
    phase = np.interp(time, strikes, np.arange(n_cycles + 1)) % 1.0
    grid, values = emg.phase.values, emg.true_envelope.values[0]
    envelope = np.stack([np.interp(phase, grid, column) for column in values.T], axis=1)
    envelope /= envelope.max()
    spectrum = np.fft.rfft(rng.standard_normal((n, n_channels)), axis=0)
    frequency = np.fft.rfftfreq(n, 1 / rate)
    band = (frequency / 80) ** 2 / (1 + (frequency / 80) ** 2) ** 2  # loudest around 80 Hz
    carrier = np.fft.irfft(spectrum * band[:, None], n, axis=0)
    carrier /= carrier.std()
    volts = 1e-4 * (envelope * carrier + hum * np.sin(2 * np.pi * 50 * time)[:, None])
    force = np.zeros((n, 2, 3))
    force[:, 0, 2] = 700.0 * (phase < 0.62)
    force[:, 1, 2] = 700.0 * ((phase - 0.5) % 1.0 < 0.62)
    return xr.Dataset(
        {
            "emg": (("time", "channel"), volts, {"units": "V"}),
            "true_envelope": (("time", "channel"), envelope, {"units": "1"}),
            "ground_force": make_variable("ground_force", force),
        },
        coords={
            "time": make_variable("time", time),
            "channel": emg["channel"].variable,
            "side": emg["side"].variable,
            "contact": make_variable("contact", ["right", "left"]),
            "space": make_variable("space", ["x", "y", "z"]),
        },
        attrs={"source": "kinesis_neuro.synthetic.raw_gait_emg", "sampling_rate": float(rate)},
    )


def _weights(
    rng: np.random.Generator, n_synergies: int, n_channels: int, exclusive: float
) -> FloatArray:
    """Weights (synergy, channel): each channel has a main synergy and a little of the others."""
    main = np.arange(n_channels) % n_synergies
    weights = rng.uniform(0.0, 0.15, (n_synergies, n_channels))
    if exclusive:  # without, the generator is left where it was
        weights[rng.random(weights.shape) < exclusive] = 0.0
    weights[main, np.arange(n_channels)] = rng.uniform(0.6, 1.0, n_channels)
    return weights


def _cyclic_noise(rng: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
    """Noise of unit power on a closed grid of phase (axis -2), as smooth as an envelope."""
    n_open = shape[-2] - 1
    n_harmonics = max(1, min(20, (n_open - 1) // 2))
    wave = np.arange(n_open)[:, None] * np.arange(1, n_harmonics + 1) * 2 * np.pi / n_open
    cosine, sine = rng.standard_normal((2, *shape[:-2], n_harmonics, shape[-1]))
    noise = (np.cos(wave) @ cosine + np.sin(wave) @ sine) / np.sqrt(n_harmonics)
    return np.concatenate([noise, noise[..., :1, :]], axis=-2)
