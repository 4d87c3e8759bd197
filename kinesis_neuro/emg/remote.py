"""Files of datasets: found in the data folder, or downloaded with a checksum."""

from __future__ import annotations

import csv
import functools
import importlib.util
import os
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from kinesis_neuro.data_folder import VARIABLE, data_folder
from kinesis_neuro.errors import FileFormatError, InvalidInputError, MissingDependencyError

CACHE_VARIABLE = "KINESIS_NEURO_CACHE"


class Remote(NamedTuple):
    """Where a file lies, and what its bytes hash to."""

    url: str
    sha256: str


@functools.cache
def remote_files() -> dict[str, Remote]:
    """Files that can be downloaded, by their path in the data folder.

    Examples
    --------
    >>> remote_files()["falisse2019/ExperimentalData.mat"].url.endswith("ExperimentalData.mat")
    True
    """
    table = resources.files("kinesis_neuro.emg") / "tables" / "remote.csv"
    with table.open("r") as stream:
        return {row["file"]: Remote(row["url"], row["sha256"]) for row in csv.DictReader(stream)}


def find_file(name: str, download: bool = True) -> Path:
    """Find a file of a dataset.

    Looked for in the data folder (``KINESIS_NEURO_DATA``), then among earlier downloads; what is in
    the registry with a checksum is downloaded, with a progress bar.

    Parameters
    ----------
    name : str
        Path in the data folder, with slashes.
    download : bool
        Whether the network may be used.

    Returns
    -------
    Path

    Raises
    ------
    InvalidInputError
        The file is not at hand and cannot be had; the message says what to do.
    FileFormatError
        A download has another checksum than the registry.
    """
    try:
        local = data_folder() / name
        if local.is_file():
            return local
        looked = f"{local.parent} has no {local.name}"
    except InvalidInputError:
        looked = f"{VARIABLE} names no folder of recordings"
    remote = remote_files().get(name)
    if remote is None:
        raise InvalidInputError(
            f"{looked}, and {name!r} is not in the registry of downloads. Get it from its source "
            f"and set {VARIABLE} to the folder that holds {name.split('/')[0]}/."
        )
    if not download:
        raise InvalidInputError(f"{looked}. It can be downloaded from {remote.url}.")
    return _download(name, remote, looked)


def _download(name: str, remote: Remote, looked: str) -> Path:
    try:
        import pooch
    except ImportError as error:
        raise MissingDependencyError("Downloading needs: pip install pooch") from error
    folder = Path(os.environ.get(CACHE_VARIABLE) or pooch.os_cache("kinesis_neuro"))
    target = folder / name
    downloader: Any = pooch.HTTPDownloader(progressbar=_has_tqdm(), timeout=30)
    try:
        pooch.retrieve(
            remote.url,
            known_hash=f"sha256:{remote.sha256}",
            fname=target.name,
            path=target.parent,
            downloader=downloader,
        )
    except ValueError as error:  # pooch's word for a wrong checksum
        raise FileFormatError(target, "another checksum than expected", remote.sha256) from error
    except Exception as error:  # requests raises a family of its own
        raise InvalidInputError(
            f"{looked}, and {remote.url} could not be downloaded ({type(error).__name__}). "
            f"Are you offline? Put the file at {name} in the folder that {VARIABLE} names."
        ) from error
    return target


def _has_tqdm() -> bool:
    return importlib.util.find_spec("tqdm") is not None
