# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Comparing with your own EMG
#
# From a file with raw EMG to an answer: does the simulated body use its muscles like this person?
# The file is made here, so that the notebook runs anywhere. **To use yours, leave out the next
# section and set `path`, `labels`, `heel_strikes` and `speed`.**

# %%
import json
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import kinesis_neuro as kn
from kinesis_neuro.emg.cycles import segment_cycles
from kinesis_neuro.emg.filters import apply_pipeline
from kinesis_neuro.emg.mapping import channel_table
from kinesis_neuro.emg.subject import check_channels, subject_events
from kinesis_neuro.plot.names import muscle_label
from kinesis_neuro.plot.style import figure_style

# %% [markdown]
# ## A file, in place of yours
#
# Noise whose loudness follows the mean cycle of the built-in subject (a person's real envelope;
# the noise is not). Strides vary a little in duration and loudness, as they do.

# %%
rng = np.random.default_rng(0)
person = kn.load_subject("builtin")
rate = 1000.0  # [Hz]
heel_strikes = np.cumsum(np.r_[0.3, rng.normal(1.15, 0.02, 16)])  # right foot [s]
time = np.arange(0, heel_strikes[-1] + 0.3, 1 / rate)
stride = np.interp(time, heel_strikes, np.arange(heel_strikes.size))
curve = person["envelope"].isel(cycle=0)
table = {"time": time.round(6)}
for channel in curve["channel"].values.tolist():
    loudness = np.interp(stride % 1, curve["phase"], curve.sel(channel=channel), period=1)
    loudness = loudness * np.interp(stride, np.arange(17), rng.lognormal(sigma=0.1, size=17))
    table[f"EMG {channel} [mV]"] = (0.02 + 0.4 * loudness) * rng.standard_normal(time.size)
folder = tempfile.TemporaryDirectory()
path = Path(folder.name, "trial.csv")
pd.DataFrame(table).to_csv(path, index=False, float_format="%.6g")

# %% [markdown]
# ## Reading it
#
# Also `.sto`, `.c3d`, EMG-BIDS `.edf` and others: the call is the same. Nothing is guessed. A label
# that is not understood is an error that lists the labels, so say what each channel is; the right
# leg's muscles end in `_r`. The library's names:

# %%
channel_table("legs").head(8)[["channel", "muscle", "weight"]]

# %%
labels = {f"EMG {channel} [mV]": f"{channel}_r" for channel in curve["channel"].values.tolist()}
speed = 1.0  # [m/s]
raw = kn.load_subject(
    path,
    speed=speed,
    units="mV",
    channels=labels,
    events={"heel_strike_right": heel_strikes},
    subject="me",
)
raw

# %% [markdown]
# Channels that cannot be used (flat, clipped, with gaps) are found, with the reason:

# %%
print(check_channels(raw) or "all channels can be used")

# %% [markdown]
# ## Envelopes
#
# Pipelines are data: a published one by its name, or your own steps. What was done is written into
# the attributes.

# %%
envelopes = apply_pipeline(raw, "pycgm2")
for step in json.loads(envelopes.attrs["processing"]):
    print(step)

# %%
events = subject_events(raw)
cycles = segment_cycles(envelopes[["envelope"]], events)
print(cycles.attrs["cycle_rejection"])
with figure_style():
    figure, axes = plt.subplots(1, 3, figsize=(7.2, 1.9), sharey=True, layout="constrained")
    for axis, channel in zip(axes, cycles["channel"].values[[0, 3, 6]], strict=True):
        each = cycles["envelope"].sel(channel=channel)
        axis.plot(100 * each["phase"], each.transpose("phase", "cycle"), color="0.75", lw=0.6)
        axis.plot(100 * each["phase"], each.mean("cycle"), lw=1.6)
        axis.set(title=muscle_label(channel), xlabel="Gait cycle (%)", xlim=(0, 100), ylim=(0, 1))
    axes[0].set_ylabel("Envelope (of its peak)")

# %% [markdown]
# Single cycles in grey. If they do not lie on each other, look at the heel strikes first.
#
# ## The comparison
#
# EMG starts before the force that it causes. The delay is **stated before looking and never
# fitted**: nothing moves a correlation as much. `baselines` are compared in the same way; here,
# what the muscles would have to do at the least effort.

# %%
recording = kn.record("walk", duration=8.0)
least_effort = kn.static_optimization(kn.load_motion("walk"))
result = kn.compare_emg(
    recording,
    envelopes,
    signal="excitation",
    delay=0.060,
    baselines={"static optimisation": least_effort},
    n_null=500,
)
print(result.summary())

# %% [markdown]
# One row a muscle. `r` alone says little: beside it stand what chance reaches in one of twenty
# cases, and how well this person's odd cycles predict the even ones.

# %%
columns = ["r", "p_fdr", "null_95", "ceiling_between_cycle", "r:static optimisation"]
result.table[columns].round(2)

# %%
result.plot()

# %% [markdown]
# How to read it:
#
# - A muscle above chance and below the ceiling is used alike in part. Above the ceiling, look for a
#   mistake.
# - The matrix asks whether each simulated muscle is most like *its own* human muscle. Any extensor
#   correlates with any extensor.
# - With one person and one policy there is no interval: both could be unusual. Give several,
#   `kn.compare_emg([seed_1, seed_2], [person_1, person_2])`, and people and seeds are resampled.

# %%
folder.cleanup()
