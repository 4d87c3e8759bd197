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
# # Synergies and phase
#
# Does the simulated body use its muscles in the same *groups*, at the same *time* of the cycle, as
# a person? Human and simulated walking go through the same functions here, and dims and units stay
# with the values from the first line to the last.

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import xarray as xr

import kinesis_neuro as kn
from kinesis_neuro.analysis.bursts import center_of_activity
from kinesis_neuro.analysis.channel_cycles import shared_cycles
from kinesis_neuro.analysis.circular import wrap_phase
from kinesis_neuro.analysis.synergy_match import cross_reconstruction
from kinesis_neuro.plot.axes import PEOPLE_COLOR
from kinesis_neuro.plot.names import muscle_label
from kinesis_neuro.plot.style import COLORS, figure_style
from kinesis_neuro.plot.synergies import plot_synergies

_ = xr.set_options(display_expand_data=False)

# %% [markdown]
# ## Two walkers, one vocabulary
#
# The person: the built-in mean cycle of nine muscles of the right leg.

# %%
person = kn.load_subject("builtin")
person["envelope"]

# %% [markdown]
# The simulation, from a file whose values are read when a function asks for them, in chunks (dask).
# Files that are larger than memory work in the same way.

# %%
folder = tempfile.TemporaryDirectory()
path = Path(folder.name, "walk.nwb")
kn.write_nwb(kn.record("walk", duration=12.0), path)
recording = kn.read_nwb(path).chunk(time=300)
recording["excitation"]

# %% [markdown]
# `shared_cycles` cuts both into gait cycles over the same channels. Of the simulation it takes the
# muscles that each electrode would see, with the coordinates and units that they came with.

# %%
human, simulated = shared_cycles(person, {"simulated": recording}, signal="activation")
simulated = simulated["simulated"]
simulated

# %% [markdown]
# ## Synergies
#
# `extract_synergies` factorises `envelope ~ synergy_activation @ weights`, and reports six rules
# for the number of synergies, because they disagree. A mean cycle has no cycles to hold out, so the
# rules that need them say that they could not be evaluated (0).

# %%
rules = {
    "human": kn.extract_synergies(human, rule="vaf", n_restarts=5),
    "simulated": kn.extract_synergies(simulated, rule="vaf", n_restarts=5),
}
chosen = xr.concat(
    [
        each[[name for name in each if name.startswith("chosen_")]].to_dataarray("rule")
        for each in rules.values()
    ],
    dim=xr.Variable("walker", list(rules)),
)
chosen.to_pandas().T

# %% [markdown]
# To compare them, both get the same number.

# %%
synergies = {
    "human": kn.extract_synergies(human, n_synergies=4),
    "simulated": kn.extract_synergies(simulated, n_synergies=4),
}
for name, each in synergies.items():
    print(f"{name:10} VAF {each.vaf:.2f} (uncentred), R^2 {each.r_squared:.2f} (centred)")
synergies["simulated"]

# %% [markdown]
# Which synergy is whose? `match_synergies` assigns them one to one. Non-negative weights are alike
# by chance, so each similarity has a p value against permuted muscles that are *assigned anew*.

# %%
match = kn.match_synergies(synergies["human"], synergies["simulated"])
match[["match", "similarity", "p_value"]].to_dataframe().round(2)

# %%
plot_synergies(
    synergies["human"],
    {"simulated": (synergies["simulated"], match)},
    label="human",
    toe_off=float(human["toe_off_phase"]),
)

# %% [markdown]
# Cross-reconstruction needs no assignment: how much of one walker's activity do the other's weights
# explain? Look at it in both directions, and beside the null.

# %%
for a, b, data in (("human", "simulated", simulated), ("simulated", "human", human)):
    explained = cross_reconstruction(synergies[a], data)
    print(
        f"{a} weights on {b} activity: VAF {explained.vaf:.2f}, own {synergies[b].vaf:.2f}, "
        f"chance {explained.null_mean:.2f} (95 %: {explained.null_high:.2f})"
    )

# %% [markdown]
# ## Phase
#
# When in the cycle is each muscle active? The centre of activity is circular: 0.95 and 0.05 average
# to 0, not to 0.5. A positive difference means that the simulation is later.

# %%
mean = {"human": human.mean("cycle", keep_attrs=True)}
mean["simulated"] = simulated.mean("cycle", keep_attrs=True)
center = {name: center_of_activity(each) for name, each in mean.items()}
later = wrap_phase(center["simulated"] - center["human"])
(100 * later).round(0).to_series().rename("simulation later by [% of the cycle]")

# %%
with figure_style():
    figure, axis = plt.subplots(figsize=(6, 2.6), layout="constrained")
    channels = human["channel"].values.tolist()
    for row, channel in enumerate(channels):
        start, way = (100 * float(each.sel(channel=channel)) for each in (center["human"], later))
        for turn in (-100, 0, 100):  # what leaves on one side comes back on the other
            axis.plot([start + turn, start + way + turn], [row, row], color="0.7", linewidth=1)
            axis.plot(start + turn, row, "o", color=PEOPLE_COLOR, label="human")
            axis.plot(start + way + turn, row, "s", color=COLORS[0], label="simulated")
    axis.set(xlim=(0, 100), xlabel="Centre of activity (% of the cycle, from right heel strike)")
    axis.set_yticks(range(len(channels)), map(muscle_label, channels))
    axis.invert_yaxis()
    handles, names = axis.get_legend_handles_labels()
    figure.legend(handles[:2], names[:2], loc="outside right upper")

# %% [markdown]
# The lag at which whole curves agree best, for each muscle (positive: the simulation is later):

# %%
lags = kn.cross_correlation(mean["human"], mean["simulated"], dim="phase", cyclic=True)
lags = lags[["zero_lag_correlation", "peak_correlation", "peak_lag"]]
lags.reset_coords(drop=True).to_dataframe().round(2)

# %% [markdown]
# Phase locking of two muscles from stride to stride. Both repeat with the gait, so the value is
# high whether they have anything to do with each other or not; the shuffled strides say what the
# gait alone makes of it. Look at p.

# %%
locking = kn.phase_locking(
    simulated.sel(channel="soleus").drop_vars("channel"),
    simulated.sel(channel="gastrocnemius_medialis").drop_vars("channel"),
)
locking[["plv", "null_mean", "p_value"]].to_pandas().round(3)

# %% [markdown]
# Everything is still a labelled array with units, ready for a file:

# %%
print({name: (v.dims, v.attrs["units"]) for name, v in match.data_vars.items() if v.dims})

# %%
recording.close()
folder.cleanup()
