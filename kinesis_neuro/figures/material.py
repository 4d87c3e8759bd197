"""What the figures are made of: recordings, people, and what is computed from both, made once."""

from __future__ import annotations

import functools
import json
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import xarray as xr

from kinesis_neuro.analysis.alignment import ComparisonWarning
from kinesis_neuro.analysis.channel_cycles import SharedCycles, shared_cycles
from kinesis_neuro.analysis.compare import compare_emg
from kinesis_neuro.emg.datasets import load_subject
from kinesis_neuro.errors import InvalidInputError, KinesisError
from kinesis_neuro.netcdf import read_netcdf, write_netcdf
from kinesis_neuro.provenance import library_versions

POLICIES = ("walk", "walk-excitation")
DURATION = 15.0
"""Of each recording [s]: about twelve gait cycles."""

SPEED = 1.0
"""Of the built-in gait, and of the people who are compared with it [m/s]."""

_PEOPLE = tuple(f"wang2023/{n:02d}" for n in (4, 5, 6, 7, 8))
_WALKER = "wang2023/06/walk36"  # the person whose gait is built in, over a minute
_FALLBACK = "builtin"
_SOLVED, _UNTRAINED = "static optimisation", "untrained"


class FigureSkipped(KinesisError):
    """A figure that cannot be made from what there is; the message says what it would take."""


class Material:
    """Recordings of policies, people, and results that several figures share.

    Everything is made when it is first asked for. With a folder, recordings are kept there, and
    taken from there if they are of the same policy, seed, duration and library versions.

    Parameters
    ----------
    policies : sequence of str
        Names of shipped policies, or their folders.
    folder : Path, optional
        Where recordings are kept as NetCDF.
    duration : float
        Of each recording [s].
    seed : int
        Of the recordings and of whatever is drawn in the analyses.
    n_null : int
        Surrogates.
    say : callable
        Receives lines of text.
    """

    def __init__(
        self,
        policies: Sequence[str] = POLICIES,
        folder: Path | None = None,
        duration: float = DURATION,
        seed: int = 0,
        n_null: int = 1000,
        say: Callable[[str], None] = print,
    ) -> None:
        names = [Path(policy).name for policy in policies]
        if not names or len(set(names)) < len(names):
            raise InvalidInputError(
                f"Figures need one or more policies of different names, got {', '.join(names)}."
            )
        self.policies = dict(zip(names, map(str, policies), strict=True))
        self.folder, self.duration, self.seed, self.n_null = folder, duration, seed, n_null
        self._say = say
        self._recordings: dict[str, xr.Dataset] = {}

    @property
    def names(self) -> list[str]:
        """Names of the policies."""
        return list(self.policies)

    def recording(self, name: str) -> xr.Dataset:
        """Record a policy on the built-in gait, or take the recording that is there."""
        if name not in self._recordings:
            fall = "restart" if name == _UNTRAINED else "stop"
            policy = self.policies.get(name, name)
            self._recordings[name] = self._kept(
                name, _policy_hash(policy, self.seed), lambda: self._record(policy, fall)
            )
        return self._recordings[name]

    @property
    def untrained(self) -> xr.Dataset:
        """A policy with its first weights, which falls and starts again."""
        return self.recording(_UNTRAINED)

    @functools.cached_property
    def solved(self) -> xr.Dataset:
        """Static optimisation of the built-in gait."""
        from kinesis_neuro.motion.inverse import static_optimization
        from kinesis_neuro.motion.library import load_motion

        def solve() -> xr.Dataset:
            return static_optimization(load_motion("walk"))

        return self._kept(_SOLVED, "", solve)

    @functools.cached_property
    def people(self) -> list[xr.Dataset]:
        """People at the speed of the built-in gait, or, without them, the built-in person."""
        try:
            return [load_subject(name, speed=SPEED) for name in _PEOPLE]
        except KinesisError as error:
            self._say(f"The built-in person stands alone: {error}")
            return [load_subject(_FALLBACK)]

    def several_people(self, least: int) -> list[xr.Dataset]:
        """Give the people, or say that a figure needs more of them."""
        if len(self.people) < least:
            raise FigureSkipped(
                f"it needs {least} or more people, and there is {len(self.people)}. Set "
                "KINESIS_NEURO_DATA to a folder with the EMG of Wang et al. 2023 "
                "(kinesis_assets/human_emg), or let load_subject('wang2023/04', speed=1.0) fetch "
                "it."
            )
        return self.people

    @functools.cached_property
    def walker(self) -> xr.Dataset:
        """The person whose gait is built in, over many cycles where the data are at hand."""
        try:
            return load_subject(_WALKER)
        except KinesisError:
            return load_subject(_FALLBACK)

    @functools.cached_property
    def comparison(self) -> xr.Dataset:
        """Comparison of the first policy with the people; the others and baselines beside it."""
        first, *others = self.names
        baselines = {name: self.recording(name) for name in others}
        baselines |= {_SOLVED: self.solved, _UNTRAINED: self.untrained}
        with warnings.catch_warnings():
            # An untrained body does not walk at the people's speed: the note in the result says so.
            warnings.simplefilter("ignore", ComparisonWarning)
            result = compare_emg(
                self.recording(first), self.people, baselines=baselines, n_null=self.n_null,
                seed=self.seed,
            )  # fmt: skip
        # A policy's folder is no name to print.
        return _relabel(result.dataset, first)

    @property
    def walkers(self) -> xr.Dataset:
        """The comparison without the untrained policy, which does not walk."""
        keep = self.comparison["role"].values != _UNTRAINED
        return self.comparison.isel(condition=keep.nonzero()[0])

    @functools.cached_property
    def shared_cycles(self) -> SharedCycles:
        """Cycles of the walker and of the policies, over the channels that all have."""
        return shared_cycles(self.walker, {name: self.recording(name) for name in self.names})

    def _record(self, policy: str, on_fall: str) -> xr.Dataset:
        from kinesis_neuro.record import record

        self._say(f"Recording {self.duration:g} s of {Path(policy).name!r} ...")
        return record(policy, "walk", self.duration, self.seed, on_fall=on_fall)

    def _kept(self, name: str, policy: str, make: Callable[[], xr.Dataset]) -> xr.Dataset:
        """Take a recording from its file if it is what would be made, or make and keep it."""
        if self.folder is None:
            return make()
        file = self.folder / f"{name.replace(' ', '_')}.nc"
        if file.is_file():
            found = read_netcdf(file)
            configuration = json.loads(found.attrs.get("configuration", "{}"))
            same = json.loads(found.attrs.get("versions", "{}")) == library_versions()
            if policy:
                same &= found.attrs.get("policy_hash") == policy
                same &= found.attrs.get("seed") == self.seed
                same &= configuration.get("duration") == self.duration
            if same:
                return found
        made = make()
        self.folder.mkdir(parents=True, exist_ok=True)
        write_netcdf(made, file)
        return made


def _policy_hash(policy: str, seed: int) -> str:
    from kinesis_neuro.learn.play import as_policy
    from kinesis_neuro.learn.policy import untrained_policy
    from kinesis_neuro.record import policy_hash

    return policy_hash(untrained_policy(seed) if policy == _UNTRAINED else as_policy(policy))


def _relabel(comparison: xr.Dataset, first: str) -> xr.Dataset:
    labels = comparison["condition"].values.astype(object)
    labels[comparison["role"].values == "simulation"] = first
    return comparison.assign_coords(condition=("condition", labels.astype(str)))
