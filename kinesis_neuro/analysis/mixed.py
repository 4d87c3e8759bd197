"""A mixed model of correlations: muscles fixed, people and training seeds random."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats

from kinesis_neuro.analysis.intervals import fisher_z
from kinesis_neuro.errors import InvalidInputError


def fit_mixed_model(r_pair: xr.DataArray, confidence: float = 0.95) -> pd.DataFrame:
    """Fit z = muscle + person + seed + rest, with people and seeds crossed and random.

    The design is balanced, so that restricted maximum likelihood has a closed form: the mean
    squares of the analysis of variance (Searle, Casella & McCulloch 1992, chapter 4). A variance
    that comes out negative is set to zero and its mean square pooled with the rest.

    Parameters
    ----------
    r_pair : DataArray
        Correlations over (condition, subject, channel); conditions are seeds.
    confidence : float

    Returns
    -------
    DataFrame
        By channel: ``r``, ``low``, ``high``, which rest on what all channels say about how people
        and seeds differ. Attributes hold the variances of Fisher's z: ``variance_subject``,
        ``variance_seed`` (NaN with one seed) and ``variance_rest``.

    Raises
    ------
    InvalidInputError
        With fewer than two people or channels.

    Examples
    --------
    >>> r = xr.DataArray([[[0.2, 0.6], [0.4, 0.7]]], dims=("condition", "subject", "channel"),
    ...                  coords={"channel": ["soleus", "gracilis"]})
    >>> fit_mixed_model(r)["r"].round(2).tolist()
    [0.3, 0.65]
    """
    if r_pair.sizes["subject"] < 2 or r_pair.sizes["channel"] < 2:
        raise InvalidInputError(
            f"A mixed model needs two people and two muscles or more, got "
            f"{r_pair.sizes['subject']} and {r_pair.sizes['channel']}."
        )
    z = fisher_z(r_pair.transpose("condition", "subject", "channel").values)
    n_seeds, n_people, n_channels = z.shape
    mean = z.mean(axis=(0, 1))
    people, seeds = (z - mean).mean(axis=(0, 2)), (z - mean).mean(axis=(1, 2))
    rest = z - mean - people[:, None] - seeds[:, None, None]
    square = float((rest**2).sum())
    df = z.size - n_channels - (n_people - 1) - (n_seeds - 1)
    variance = {"subject": 0.0, "seed": np.nan if n_seeds == 1 else 0.0}
    factors = [("subject", people, n_seeds * n_channels), ("seed", seeds, n_people * n_channels)]
    factors = [factor for factor in factors if factor[1].size > 1]
    between = {name: (size * float((v**2).sum()), v.size - 1) for name, v, size in factors}
    # Smallest first: what is pooled changes what the next is held against.
    for name, _, size in sorted(factors, key=lambda f: between[f[0]][0] / between[f[0]][1]):
        own, own_df = between[name]
        if own / own_df <= square / df:
            square, df = square + own, df + own_df
        else:
            variance[name] = (own / own_df - square / df) / size
    residual = square / df
    error = np.sqrt(
        residual / (n_seeds * n_people)
        + variance["subject"] / n_people
        + np.nan_to_num(variance["seed"]) / n_seeds
    )
    fewest = min(own_df for _, own_df in between.values())
    half = stats.t.ppf(0.5 + confidence / 2, fewest) * error
    channels = list(map(str, r_pair["channel"].values))
    table = pd.DataFrame(
        {"r": np.tanh(mean), "low": np.tanh(mean - half), "high": np.tanh(mean + half)},
        index=pd.Index(channels, name="muscle"),
    )
    table.attrs = {f"variance_{name}": value for name, value in variance.items()}
    table.attrs["variance_rest"] = residual
    return table
