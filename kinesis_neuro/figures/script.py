"""The command line of the scripts ``analyses/figure_*.py``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from kinesis_neuro.errors import KinesisError
from kinesis_neuro.figures.catalogue import make_figures
from kinesis_neuro.figures.material import DURATION, POLICIES


def main(name: str, arguments: Sequence[str] | None = None) -> None:
    """Make one figure.

    Parameters
    ----------
    name : str
        Of :data:`~kinesis_neuro.figures.catalogue.FIGURES`.
    arguments : sequence of str, optional
        By default those of the process.
    """
    parser = argparse.ArgumentParser(description=f"Write the figure {name!r} as PDF and PNG.")
    parser.add_argument("--out", default="figures", help="folder to write to")
    parser.add_argument("--recordings", help="folder in which recordings are kept (OUT/recordings)")
    parser.add_argument("--policies", nargs="+", default=list(POLICIES), help="names or folders")
    parser.add_argument("--duration", type=float, default=DURATION, help="of each recording [s]")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    try:
        make_figures(
            given.out, [name], policies=given.policies, recordings=given.recordings,
            duration=given.duration, seed=given.seed,
        )  # fmt: skip
    except KinesisError as error:
        sys.exit(f"{name}: {error}")
