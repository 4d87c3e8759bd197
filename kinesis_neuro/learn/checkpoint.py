"""Checkpoints and shipped policies on disk: safetensors and JSON, whole or not at all."""

from __future__ import annotations

import dataclasses
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kinesis_neuro.body.models import Body
from kinesis_neuro.errors import FileFormatError, IncompatibleError, unknown_name
from kinesis_neuro.formats.atomic import atomic_directory, recover_directory
from kinesis_neuro.learn.config import NetworkConfig, from_dict
from kinesis_neuro.learn.mixture import MixturePolicy
from kinesis_neuro.learn.policy import Policy, PolicyInfo

WEIGHTS = "policy.safetensors"
DESCRIPTION = "policy.json"
TRAINER_ARRAYS = "trainer.safetensors"
TRAINER = "trainer.json"

_PACKAGE = Path(__file__).resolve().parents[1]
# A checkout keeps the shipped policies beside the package, a wheel inside of it.
_SHIPPED = (_PACKAGE.parent / "data" / "policies", _PACKAGE / "_policies")


def shipped_policies() -> dict[str, Path]:
    """Folders of the policies that come with the library, by name."""
    found: dict[str, Path] = {}
    for root in _SHIPPED:
        for description in sorted(root.glob(f"*/{DESCRIPTION}")):
            found.setdefault(description.parent.name, description.parent)
    return found


def describe(policy: Policy) -> str:
    """Everything about a policy but its weights, as JSON."""
    return json.dumps(_description(policy), indent=1, sort_keys=True) + "\n"


def _description(policy: Policy) -> dict[str, Any]:
    described = dataclasses.asdict(policy.about) | {"network": dataclasses.asdict(policy.config)}
    if isinstance(policy, MixturePolicy):
        experts = [_description(expert) for expert in policy.members]
        described["mixture"] = {"gate": policy.gate, "experts": experts}
    return described


def save_policy(policy: Policy, path: str | Path) -> None:
    """Write a policy's folder, replacing the one that is there only when it is complete.

    Parameters
    ----------
    policy : Policy
    path : str or Path
        The folder.

    Raises
    ------
    WriteError
        If the disk refuses; what was there before is intact.
    """
    with atomic_directory(path) as folder:
        write_policy_files(policy, folder)


def write_policy_files(policy: Policy, folder: Path) -> None:
    """Write weights and description into a folder."""
    write_tensors(policy.state_dict(), folder / WEIGHTS)
    (folder / DESCRIPTION).write_text(describe(policy))


def load_policy(source: str | Path) -> Policy:
    """Load a policy.

    Parameters
    ----------
    source : str or Path
        Name of a shipped policy, or a folder with ``policy.safetensors`` and ``policy.json``
        (a training run's ``checkpoint`` is one).

    Returns
    -------
    Policy

    Raises
    ------
    InvalidInputError
        If there is neither such a name nor such a folder.
    FileFormatError
        If a file is truncated, foreign, or does not match the other.
    """
    shipped = shipped_policies()
    folder = shipped.get(str(source), Path(source))
    recover_directory(folder)
    if not folder.is_dir():
        raise unknown_name("policy", str(source), shipped)
    policy = _described_policy(folder / DESCRIPTION)
    tensors = read_tensors(folder / WEIGHTS)
    broken = sorted(name for name, value in tensors.items() if not torch.isfinite(value).all())
    if broken:
        raise FileFormatError(folder / WEIGHTS, f"not finite: {', '.join(broken)}", "numbers")
    load_tensors(policy, tensors, folder / WEIGHTS)
    return policy.eval()


def _described_policy(path: Path) -> Policy:
    """A policy of the shape that a description asks for, with weights of its own."""
    described = read_json(path)
    try:
        return _described(described)
    except (KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
        raise FileFormatError(
            path, f"an entry is missing or wrong ({error})", "a policy's description"
        ) from error


def _described(described: dict[str, Any]) -> Policy:
    mixture = described.pop("mixture", None)
    network = from_dict(NetworkConfig, described.pop("network"))
    described["actions"] = tuple(described["actions"])
    about = PolicyInfo(**described)
    widths = dict(about.observations)
    for name, width in widths.items():
        if not isinstance(width, int) or width < 1:
            raise ValueError(f"observation {name!r} has width {width!r}")
    mappings = (about.body_fingerprint, about.task, about.motions, about.training)
    if not all(isinstance(entry, dict) for entry in mappings):
        raise TypeError("body_fingerprint, task, motions and training must be objects")
    if not all(isinstance(name, str) for name in (*about.actions, about.name, about.body)):
        raise TypeError("name, body and actions must be texts")
    if mixture is not None:
        experts = [_described(expert) for expert in mixture["experts"]]
        return MixturePolicy(experts, mixture["gate"], network, about)
    return Policy(sum(widths.values()), len(about.actions), network, about)


def check_body(about: PolicyInfo, fingerprint: dict[str, str], body: str) -> list[str]:
    """Compare the body that a policy was made for with another.

    Returns
    -------
    list of str
        Parameters that differ.

    Raises
    ------
    IncompatibleError
        If the layout differs: other joints, muscles or bodies.
    """
    theirs = about.body_fingerprint
    if theirs.get("layout") != fingerprint["layout"]:
        raise IncompatibleError(
            f"Policy {about.name!r} belongs to body {about.body!r}, whose joints and muscles are "
            f"other than those of {body!r}. Load it with its own body."
        )
    return sorted(k for k in theirs.keys() & fingerprint.keys() if theirs[k] != fingerprint[k])


def warn_of_other_body(about: PolicyInfo, body: Body) -> None:
    """Refuse a body of another layout, and warn of one with other parameters, by name."""
    different = check_body(about, dict(body.fingerprint), body.name)
    if different:
        warnings.warn(
            f"Policy {about.name!r} was trained on a body that differs from {body.name!r} in: "
            f"{', '.join(different)}.",
            stacklevel=3,
        )


def write_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    """Write tensors as safetensors."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file({k: v.detach().contiguous() for k, v in tensors.items()}, path)
    except SafetensorError as error:
        # A full disk reaches Python as an error of the library's own.
        raise OSError(f"{path.name}: {error}") from error


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read safetensors; a missing, truncated or foreign file is refused."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except FileNotFoundError as error:
        raise FileFormatError(path, "no such file", "weights in safetensors") from error
    except (SafetensorError, OSError, ValueError) as error:
        raise FileFormatError(path, f"it cannot be read ({error})", "safetensors") from error


def load_tensors(module: torch.nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    """Put tensors into a module; other names or shapes are refused."""
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        raise FileFormatError(
            path, str(error).splitlines()[-1].strip(), "weights of this network"
        ) from error


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object."""
    try:
        value = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise FileFormatError(path, "no such file", "a JSON description") from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise FileFormatError(path, f"it is not JSON ({error})", "a JSON object") from error
    if not isinstance(value, dict):
        raise FileFormatError(path, f"found a {type(value).__name__}", "a JSON object")
    return value


def generator_state(rng: np.random.Generator) -> dict[str, Any]:
    """State of a NumPy generator, fit for JSON (its integers exceed 64 bits: Python keeps them)."""
    return dict(rng.bit_generator.state)
