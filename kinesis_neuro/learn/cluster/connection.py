"""The way into a Ray cluster: an address that answers, or a cluster of one's own."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from kinesis_neuro.errors import (
    ClusterError,
    IncompatibleError,
    InvalidInputError,
    MissingDependencyError,
)

_SECONDS = 5.0
"""How long an address has to answer [s]."""

# Ray's head speaks gRPC, which is HTTP/2: a greeting and a frame of settings are answered by a
# frame of settings (RFC 9113, sections 3.4 and 6.5). To find out otherwise takes Ray a minute.
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_SETTINGS = 4


def import_ray() -> ModuleType:
    """The package, which is an extra.

    Raises
    ------
    MissingDependencyError
        If it is not installed.
    """
    # A training run reports to nobody, and leaves the choice of accelerators to its user.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # Workers are the work, and no less urgent than what learns from it.
    os.environ.setdefault("RAY_worker_niceness", "0")
    try:
        import ray
    except ImportError as error:
        raise MissingDependencyError(
            "Rollout workers need Ray. Install it: pip install 'kinesis-neuro[cluster]'."
        ) from error
    return ray


def check_address(address: str) -> None:
    """Refuse an address where nothing answers, within seconds.

    Parameters
    ----------
    address : str
        ``HOST:PORT`` of the cluster's head.

    Raises
    ------
    InvalidInputError
        If it is no such address.
    ClusterError
        If nothing answers, or something else does.

    Examples
    --------
    >>> check_address("head")
    Traceback (most recent call last):
    ...
    kinesis_neuro.errors.InvalidInputError: 'head' is no address of a cluster. Give HOST:PORT \
(Ray's port is 6379 unless told otherwise), or auto.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "/" in host:
        raise InvalidInputError(
            f"{address!r} is no address of a cluster. Give HOST:PORT (Ray's port is 6379 unless "
            "told otherwise), or auto."
        )
    try:
        with socket.create_connection((host, int(port)), timeout=_SECONDS) as connection:
            connection.sendall(_GREETING)
            answer = connection.recv(4)
    except (OSError, OverflowError) as error:
        raise ClusterError(
            f"No cluster answers at {address} ({error}). Start one there (ray start --head "
            f"--port={port}), or give the address of one that runs."
        ) from error
    if answer[3:] != bytes([_SETTINGS]):
        raise ClusterError(
            f"What answers at {address} is no head of a Ray cluster. Give the address that "
            "ray start --head has printed."
        )


def find_cluster(address: str) -> str:
    """An address that answers, in place of ``auto`` where that is known to be one.

    It is what the variable ``RAY_ADDRESS`` names, or where Ray notes that a cluster was started
    on this machine: a note that outlives the cluster, which would cost Ray two minutes.
    """
    note = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()) / "ray/ray_current_cluster"
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS") or address
    if address == "auto" and note.exists():
        address = note.read_text().strip()
    if address != "auto":
        check_address(address)
    return address


@contextlib.contextmanager
def _explained(address: str) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        text = " ".join(str(error).split())
        if "ersion mismatch" in text:
            raise IncompatibleError(
                f"The cluster at {address} runs other versions than this process: {text}"
            ) from error
        raise ClusterError(f"The cluster at {address} refuses this process: {text}") from error
    except (ConnectionError, TimeoutError, ValueError) as error:
        text = " ".join(str(error).split())
        raise ClusterError(
            f"No cluster answers at {address} ({text}). Start one (ray start --head), or leave the "
            "address away to have one on this machine alone."
        ) from error


def connect(address: str, n_cpus: int) -> tuple[ModuleType, bool]:
    """Join a cluster, or start one on this machine.

    Parameters
    ----------
    address : str
        ``HOST:PORT``; ``auto`` for the cluster that this machine is part of, or that the variable
        ``RAY_ADDRESS`` names; empty for a new one that ends with this process.
    n_cpus : int
        Processors that a new cluster claims to have.

    Returns
    -------
    ray : module
    own : bool
        Whether this call began the connection, so that its end is the caller's matter.
    """
    ray = import_ray()
    if ray.is_initialized():
        return ray, False
    if not address:
        # Without "local" Ray would look for a cluster that somebody else has started.
        ray.init(address="local", num_cpus=n_cpus, include_dashboard=False, log_to_driver=False)
        return ray, True
    found = find_cluster(address)
    with _explained(found):
        ray.init(address=found, log_to_driver=False)
    return ray, True
