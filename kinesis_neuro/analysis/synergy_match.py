"""Compare synergies: which belong together, subspace angles, what one explains of another.

A similarity means nothing by itself: non-negative vectors of thirteen muscles are alike by chance,
and the best assignment makes chance look better. So every number comes with a null that is assigned
anew in each draw: weights with permuted muscles, activations shifted round the cycle.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from scipy import linalg, optimize
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from kinesis_neuro.analysis import nmf
from kinesis_neuro.analysis._inputs import FloatArray, choice, exact_align, keeps_attrs, muscle_dim
from kinesis_neuro.analysis.correlation import cross_correlation
from kinesis_neuro.analysis.synergy import Data, prepare_activity
from kinesis_neuro.errors import InvalidInputError

CRITERIA = ("weights", "both")


@keeps_attrs
def match_synergies(
    a: xr.Dataset,
    b: xr.Dataset,
    n_null: int = 1000,
    seed: int = 0,
    criterion: str = "weights",
    level: float = 0.05,
) -> xr.Dataset:
    """Assign the synergies of one result to those of another, one to one.

    The assignment maximises the sum of cosine similarities of the weights (or, with
    ``criterion="both"``, of the mean of that and the cyclic correlation of the mean activations at
    zero lag). The null permutes the muscles of `b`, alike for all of its synergies, and shifts its
    activations round the cycle, and assigns anew.

    Parameters
    ----------
    a, b : Dataset
        As :func:`~kinesis_neuro.analysis.synergy.extract_synergies` gives them, with the same
        muscles in the same order; their numbers of synergies may differ.
    n_null : int
        Draws.
    seed : int
        Of the draws.
    criterion : {"weights", "both"}
        What is maximised.
    level : float
        Pairs with ``p_value`` below it are ``shared``; all other synergies are specific.

    Returns
    -------
    Dataset
        ``weight_similarity (synergy, other)`` [1]; with activations over phase also
        ``activation_similarity`` and ``activation_lag`` [cycles] (positive: b is later) at its best
        lag; and along ``synergy`` (of a): ``match`` (synergy of b, -1: none), ``similarity``,
        ``p_value`` (of the matched similarity among all matched ones of the null), ``shared``
        (0 or 1). Scalars: ``mean_similarity``, ``null_mean``, ``null_high`` (95 %), and
        ``mean_p_value``. The attribute ``unmatched_other`` lists synergies of b that are left.

    Raises
    ------
    InvalidInputError
        If muscles differ, or an argument is out of range.

    Examples
    --------
    >>> weights = np.array([[0.8, 0.6, 0.0, 0.0], [0.0, 0.0, 0.6, 0.8]])
    >>> a = xr.Dataset({"weights": (("synergy", "muscle"), weights)})
    >>> match_synergies(a, a.isel(synergy=[1, 0])).match.values
    array([1, 0])
    """
    choice("criterion", criterion, CRITERIA)
    if n_null < 1 or not 0 < level < 1:
        raise InvalidInputError(
            f"n_null must be 1 or more and level between 0 and 1, got {n_null} and {level}."
        )
    first, second = _weights(a, b)
    cosine = first @ second.T
    rng = np.random.default_rng(seed)
    order = rng.permuted(np.tile(np.arange(second.shape[1]), (n_null, 1)), axis=1)
    null = np.einsum("km,njm->nkj", first, np.moveaxis(second[:, order], 1, 0))
    result = xr.Dataset({"weight_similarity": (("synergy", "other"), cosine)})
    score = cosine
    if "mean_activation" in a and "mean_activation" in b:
        x = a["mean_activation"]
        y = b["mean_activation"].rename(synergy="other").drop_vars("other", errors="ignore")
        curve = cross_correlation(x, y, "phase", cyclic=True)
        result["activation_similarity"] = curve["zero_lag_correlation"].transpose(
            "synergy", "other"
        )
        result["activation_peak_similarity"] = curve["peak_correlation"]
        result["activation_lag"] = curve["peak_lag"]
        if criterion == "both":
            score = (cosine + result["activation_similarity"].values) / 2
            values = curve["correlation"].transpose("synergy", "other", "lag").values
            lag = rng.integers(0, values.shape[-1], (n_null, 1, values.shape[1], 1))
            shifted = np.take_along_axis(values[None], lag, axis=-1)[..., 0]
            null = (null + shifted) / 2
    elif criterion == "both":
        raise InvalidInputError(
            "criterion='both' needs activations over phase in both inputs. Use "
            "criterion='weights', or extract the synergies from cycles."
        )
    rows, columns = optimize.linear_sum_assignment(-score)
    # scipy assigns one matrix at a time; the similarities of all draws are computed above.
    chance = np.array([_assigned(draw) for draw in null])
    observed = score[rows, columns]
    pair_p = (1 + (chance[None] >= observed[:, None, None]).sum(axis=(1, 2))) / (1 + chance.size)
    n = len(first)
    match, similarity, p = np.full(n, -1), np.full(n, np.nan), np.full(n, np.nan)
    match[rows], similarity[rows], p[rows] = columns, observed, pair_p
    means = chance.mean(axis=1)
    result = result.assign(
        match=("synergy", match),
        similarity=("synergy", similarity),
        p_value=("synergy", p),
        shared=("synergy", (p < level).astype(int)),
        mean_similarity=observed.mean(),
        mean_p_value=(1 + (means >= observed.mean()).sum()) / (1 + n_null),
        null_mean=means.mean(),
        null_high=np.quantile(means, 0.95),
    )
    for variable in result.data_vars.values():
        variable.attrs.setdefault("units", "1")
    left = sorted(set(range(len(second))) - set(columns.tolist()))
    result.attrs = {
        "criterion": criterion,
        "n_null": int(n_null),
        "seed": int(seed),
        "level": float(level),
        "unmatched_other": ", ".join(map(str, left)),
    }
    return result


def principal_angles(a: xr.Dataset, b: xr.Dataset) -> xr.DataArray:
    """Principal angles between the subspaces that two sets of weights span.

    Parameters
    ----------
    a, b : Dataset
        With ``weights (synergy, muscle)`` over the same muscles.

    Returns
    -------
    DataArray
        Angles [rad], smallest first, as many as the smaller set has synergies (Bjorck & Golub
        1973).

    Raises
    ------
    InvalidInputError
        If muscles differ.

    Examples
    --------
    >>> a = xr.Dataset({"weights": (("synergy", "muscle"), [[1.0, 0.0, 0.0]])})
    >>> b = xr.Dataset({"weights": (("synergy", "muscle"), [[1.0, 1.0, 0.0]])})
    >>> principal_angles(a, b).values.round(4)
    array([0.7854])
    """
    first, second = _weights(a, b)
    angles = linalg.subspace_angles(first.T, second.T)[::-1]
    return xr.DataArray(angles, dims="synergy", attrs={"units": "rad"}, name="principal_angle")


@keeps_attrs
def cross_reconstruction(
    synergies: xr.Dataset, data: Data, n_null: int = 100, seed: int = 0
) -> xr.Dataset:
    """Explain activity with the weights of someone else's synergies.

    Human weights on simulated activity, and back: the activations are fitted anew (non-negative
    least squares), the weights stay. The null fits weights with permuted muscles. A low value in
    one direction only says that the explained one has synergies of its own.

    Parameters
    ----------
    synergies : Dataset
        As :func:`~kinesis_neuro.analysis.synergy.extract_synergies` gives it.
    data : DataArray or Dataset
        Activity of the other, over the same muscles in the same order; it is normalised as the
        synergies' own data were, by its own divisors.
    n_null : int
        Draws.
    seed : int
        Of the draws.

    Returns
    -------
    Dataset
        ``vaf``, ``r_squared``, ``muscle_vaf``, ``muscle_r_squared``; ``null_mean``, ``null_high``
        (95 %) and ``p_value`` of VAF.

    Raises
    ------
    InvalidInputError
        If muscles differ, or the activity cannot be factorised.
    """
    activity = prepare_activity(data, str(synergies.attrs.get("normalize", "max")))
    exact_align(synergies["weights"], activity.array, exclude=("synergy",))
    if activity.dim not in synergies["weights"].dims:
        raise InvalidInputError(f"The synergies do not lie along {activity.dim!r}.")
    weight = synergies["weights"].transpose("synergy", activity.dim).values
    x = activity.rows
    estimate = nmf.project(x, weight).T @ weight
    dims = {"muscle_vaf": activity.dim, "muscle_r_squared": activity.dim}
    result = xr.Dataset(
        {k: (dims.get(k, ()), v) for k, v in nmf.explained(x, estimate).items()},
        coords={activity.dim: activity.array[activity.dim]}
        if activity.dim in activity.array.coords
        else None,
    )
    order = np.random.default_rng(seed).permuted(
        np.tile(np.arange(x.shape[1]), (n_null, 1)), axis=1
    )
    shuffled = np.moveaxis(weight[:, order], 1, 0)  # (draw, synergy, muscle)
    stride = max(1, len(x) // nmf.COARSE_ROWS)
    part = x[::stride]
    activation = nmf.project(part, shuffled, 1e-3)
    left = part - np.swapaxes(activation, -1, -2) @ shuffled
    chance = 1 - (left**2).sum(axis=(1, 2)) / (part**2).sum()
    result["null_mean"], result["null_high"] = chance.mean(), np.quantile(chance, 0.95)
    result["p_value"] = (1 + (chance >= float(result.vaf)).sum()) / (1 + n_null)
    for variable in result.data_vars.values():
        variable.attrs["units"] = "1"
    result.attrs = {"n_null": int(n_null), "seed": int(seed)}
    return result


@keeps_attrs
def cluster_synergies(
    results: Mapping[str, xr.Dataset], n_clusters: int | None = None, max_clusters: int = 10
) -> xr.Dataset:
    """Group the synergies of several subjects by their weights.

    Average linkage on 1 - cosine. Without `n_clusters`, the number with the highest mean
    silhouette (Rousseeuw 1987).

    Parameters
    ----------
    results : mapping of str to Dataset
        Synergies by subject, all over the same muscles.
    n_clusters : int, optional
        Number of groups.
    max_clusters : int
        Highest number tried.

    Returns
    -------
    Dataset
        ``cluster (subject, synergy)``, numbered from 0 by size, -1 where a subject has fewer
        synergies; ``center (other, muscle)`` [1], the mean weights of each group at unit length;
        ``n_subjects (other)``, ``n_members (other)``; ``silhouette`` [1].

    Raises
    ------
    InvalidInputError
        If there are fewer than two subjects, muscles differ, or there are too few synergies.
    """
    if len(results) < 2:
        raise InvalidInputError(f"Expected two or more subjects, but got {len(results)}.")
    subjects, sets = list(results), list(results.values())
    all_weights = [_weights(sets[0], one)[1] for one in sets]
    owner = np.repeat(np.arange(len(sets)), [len(w) for w in all_weights])
    number = np.concatenate([np.arange(len(w)) for w in all_weights])
    weight = np.concatenate(all_weights)
    most = len(weight) - 1
    if not (n_clusters is None or 1 <= n_clusters <= len(weight)):
        raise InvalidInputError(
            f"n_clusters must lie between 1 and the number of synergies, {len(weight)}; got "
            f"{n_clusters}."
        )
    distance = np.clip(1 - weight @ weight.T, 0, None)
    np.fill_diagonal(distance, 0)
    tree = hierarchy.linkage(squareform(distance, checks=False), method="average")
    tried = [n_clusters] if n_clusters else list(range(2, min(max_clusters, most) + 1))
    labels = [hierarchy.fcluster(tree, k, criterion="maxclust") - 1 for k in tried]
    scores = [_silhouette(distance, label) for label in labels]
    best = labels[int(np.argmax(scores))]
    sizes = np.bincount(best)
    by_size = np.argsort(-sizes, kind="stable")
    label = np.argsort(by_size)[best]
    member = label == np.arange(len(sizes))[:, None]  # (cluster, synergy)
    center = member @ weight
    center /= np.linalg.norm(center, axis=1, keepdims=True)
    table = np.full((len(sets), max(map(len, all_weights))), -1)
    table[owner, number] = label
    owned = owner == np.arange(len(sets))[:, None]
    dim = muscle_dim(sets[0]["weights"])
    result = xr.Dataset(
        {
            "cluster": (("subject", "synergy"), table),
            "center": (("other", dim), center),
            "n_members": ("other", sizes[by_size]),
            "n_subjects": ("other", ((member.astype(int) @ owned.T) > 0).sum(axis=1)),
            "silhouette": ((), max(scores)),
        },
        coords={"subject": subjects, "other": np.arange(len(sizes)).astype(str)},
    )
    if dim in sets[0].coords:
        result = result.assign_coords({dim: sets[0][dim]})
    for variable in result.data_vars.values():
        variable.attrs["units"] = "1"
    return result


def _weights(a: xr.Dataset, b: xr.Dataset) -> tuple[FloatArray, FloatArray]:
    """Weights (synergy, muscle) at unit length, over the same muscles."""
    for one in (a, b):
        if not isinstance(one, xr.Dataset) or "weights" not in one:
            raise InvalidInputError(
                "Expected Datasets with 'weights', as extract_synergies gives them."
            )
    dim = muscle_dim(a["weights"])
    exact_align(a["weights"], b["weights"], exclude=("synergy",))
    if dim not in b["weights"].dims:
        raise InvalidInputError(f"The second weights do not lie along {dim!r}.")
    values = [x["weights"].transpose("synergy", dim).values.astype(float) for x in (a, b)]
    lengths = [np.linalg.norm(v, axis=1, keepdims=True) for v in values]
    if not all((length > 0).all() for length in lengths):
        raise InvalidInputError("A synergy has no weight in any muscle.")
    return values[0] / lengths[0], values[1] / lengths[1]


def _assigned(score: FloatArray) -> FloatArray:
    return score[optimize.linear_sum_assignment(-score)]


def _silhouette(distance: FloatArray, label: np.ndarray) -> float:
    """Mean silhouette; a synergy that is alone in its group counts as 0."""
    member = (label == np.arange(label.max() + 1)[:, None]).astype(float)
    size = member.sum(axis=1)
    if len(size) < 2:
        return 0.0
    total = distance @ member.T  # (synergy, cluster)
    own = np.take_along_axis(total, label[:, None], axis=1)[:, 0]
    inside = own / np.maximum(size[label] - 1, 1)
    outside = np.where(member.T > 0, np.inf, total / size).min(axis=1)
    score = (outside - inside) / np.maximum(np.maximum(inside, outside), 1e-12)
    return float(np.where(size[label] > 1, score, 0.0).mean())
