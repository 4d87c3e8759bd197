"""Where recordings that are not shipped lie on this machine."""

from __future__ import annotations

import os
from pathlib import Path

from kinesis_neuro.errors import InvalidInputError

VARIABLE = "KINESIS_NEURO_DATA"
_BESIDE_CHECKOUT = Path(__file__).resolve().parents[2] / "shared" / "data"


def data_folder() -> Path:
    """Folder of recordings: ``KINESIS_NEURO_DATA``, or ``../shared/data`` beside a checkout.

    Raises
    ------
    InvalidInputError
        If there is none.
    """
    stated = os.environ.get(VARIABLE)
    folder = Path(stated) if stated else _BESIDE_CHECKOUT
    if not folder.is_dir():
        found = f"{VARIABLE} names {stated!r}, which is no folder" if stated else f"no {VARIABLE}"
        raise InvalidInputError(
            f"Recordings are looked for in the folder that the environment variable {VARIABLE} "
            f"names, but there is {found}. Set it to the folder that holds them."
        )
    return folder
