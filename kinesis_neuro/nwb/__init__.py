"""Datasets to and from NWB, lossless and valid: simulated recordings, human EMG, gait cycles.

``docs/nwb.md`` says variable by variable where everything lies in a file. Writing needs pynwb,
which takes seconds to import, so it is imported with the first write; reading goes through h5py.
"""

from __future__ import annotations

from kinesis_neuro.nwb.conversion import convert as convert
from kinesis_neuro.nwb.read import read_nwb as read_nwb
from kinesis_neuro.nwb.write import write_nwb as write_nwb
