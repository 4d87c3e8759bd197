"""Muscle-driven bodies that learn to move like people, and what their muscles do.

Public names load on first use: importing the package loads neither torch nor mujoco.

Examples
--------
>>> import kinesis_neuro as kn
>>> "record" in dir(kn)
True
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING

from gymnasium.envs.registration import register, registry

if TYPE_CHECKING:
    from kinesis_neuro.analysis.circular import circular_mean as circular_mean
    from kinesis_neuro.analysis.clusters import cluster_permutation_test as cluster_permutation_test
    from kinesis_neuro.analysis.compare import compare_emg as compare_emg
    from kinesis_neuro.analysis.correlation import cross_correlation as cross_correlation
    from kinesis_neuro.analysis.locking import phase_locking as phase_locking
    from kinesis_neuro.analysis.phase import gait_phase as gait_phase
    from kinesis_neuro.analysis.phase_response import (
        measure_phase_response as measure_phase_response,
    )
    from kinesis_neuro.analysis.synergy import extract_synergies as extract_synergies
    from kinesis_neuro.analysis.synergy_match import match_synergies as match_synergies
    from kinesis_neuro.body.conditions import MuscleCondition as MuscleCondition
    from kinesis_neuro.body.models import load_body as load_body
    from kinesis_neuro.emg.cycles import segment_cycles as segment_cycles
    from kinesis_neuro.emg.datasets import list_subjects as list_subjects
    from kinesis_neuro.emg.datasets import load_subject as load_subject
    from kinesis_neuro.errors import KinesisError as KinesisError
    from kinesis_neuro.evaluate import evaluate as evaluate
    from kinesis_neuro.experiment import perturb as perturb
    from kinesis_neuro.learn.checkpoint import load_policy as load_policy
    from kinesis_neuro.learn.config import TrainConfig as TrainConfig
    from kinesis_neuro.learn.trainer import train as train
    from kinesis_neuro.motion.balance import balanced as balanced
    from kinesis_neuro.motion.inverse import static_optimization as static_optimization
    from kinesis_neuro.motion.library import load_motion as load_motion
    from kinesis_neuro.motion.reference import ReferenceMotion as ReferenceMotion
    from kinesis_neuro.netcdf import read_netcdf as read_netcdf
    from kinesis_neuro.netcdf import write_netcdf as write_netcdf
    from kinesis_neuro.nwb import read_nwb as read_nwb
    from kinesis_neuro.nwb import write_nwb as write_nwb
    from kinesis_neuro.record import record as record
    from kinesis_neuro.text.generate import text_to_motion as text_to_motion

    from . import synthetic as synthetic

    __version__: str

# The same table as above, for the running program; a test holds the two together.
_MODULE_OF = {
    "KinesisError": "kinesis_neuro.errors",
    "MuscleCondition": "kinesis_neuro.body.conditions",
    "ReferenceMotion": "kinesis_neuro.motion.reference",
    "TrainConfig": "kinesis_neuro.learn.config",
    "balanced": "kinesis_neuro.motion.balance",
    "circular_mean": "kinesis_neuro.analysis.circular",
    "cluster_permutation_test": "kinesis_neuro.analysis.clusters",
    "compare_emg": "kinesis_neuro.analysis.compare",
    "cross_correlation": "kinesis_neuro.analysis.correlation",
    "evaluate": "kinesis_neuro.evaluate",
    "extract_synergies": "kinesis_neuro.analysis.synergy",
    "gait_phase": "kinesis_neuro.analysis.phase",
    "list_subjects": "kinesis_neuro.emg.datasets",
    "load_body": "kinesis_neuro.body.models",
    "load_motion": "kinesis_neuro.motion.library",
    "load_policy": "kinesis_neuro.learn.checkpoint",
    "load_subject": "kinesis_neuro.emg.datasets",
    "match_synergies": "kinesis_neuro.analysis.synergy_match",
    "measure_phase_response": "kinesis_neuro.analysis.phase_response",
    "perturb": "kinesis_neuro.experiment",
    "phase_locking": "kinesis_neuro.analysis.locking",
    "read_netcdf": "kinesis_neuro.netcdf",
    "read_nwb": "kinesis_neuro.nwb",
    "record": "kinesis_neuro.record",
    "segment_cycles": "kinesis_neuro.emg.cycles",
    "static_optimization": "kinesis_neuro.motion.inverse",
    "text_to_motion": "kinesis_neuro.text.generate",
    "train": "kinesis_neuro.learn.trainer",
    "write_netcdf": "kinesis_neuro.netcdf",
    "write_nwb": "kinesis_neuro.nwb",
}
_SUBMODULES = ("synthetic",)
"""Modules that are public as such: ``kn.synthetic.gait_emg``."""


if not TYPE_CHECKING:  # a type checker would take every misspelt name for an object

    def __getattr__(name: str) -> object:
        """Import a public name when it is first asked for."""
        if name == "__version__":
            return _installed_version()
        if name in _SUBMODULES:
            return importlib.import_module(f"{__name__}.{name}")
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(_MODULE_OF[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """List the public names."""
    return sorted([*_MODULE_OF, *_SUBMODULES, "__version__"])


def _installed_version() -> str:
    from importlib import metadata

    try:
        return metadata.version("kinesis-neuro")
    except metadata.PackageNotFoundError:  # a checkout on the path, never installed
        return "0+unknown"


class _Package(ModuleType):
    """The package as a module on which submodules do not hide functions of the same name.

    The import system binds each submodule to its package once loaded. Without this, `record`, the
    function, would turn into `record`, the module, as soon as anyone imports the latter.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _MODULE_OF and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package

# Gymnasium finds `kinesis_neuro:kinesis_neuro/Imitation-v0` by importing this module. The two entry
# points are text, so that the physics loads with the first environment.
if "kinesis_neuro/Imitation-v0" not in registry:
    # Tasks beyond imitation are the same environment with a goal.
    for _goal in ("", "steer", "reach", "kick"):
        register(
            id=f"kinesis_neuro/{_goal.capitalize() or 'Imitation'}-v0",
            entry_point="kinesis_neuro.env.gym:ImitationEnv",
            vector_entry_point="kinesis_neuro.env.gym:ImitationVectorEnv",
            kwargs={"goal": _goal} if _goal else {},
        )
