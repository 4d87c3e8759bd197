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
# # First look
#
# A body with 80 muscles walks, and we look at what its muscles did. Nothing is downloaded: the
# policy and the gait that it follows come with the library.

# %%
import tempfile
from pathlib import Path

import xarray as xr

import kinesis_neuro as kn
from kinesis_neuro.emg.cycles import cycle_statistics, segment_cycles
from kinesis_neuro.plot.activation import plot_activation
from kinesis_neuro.plot.heatmap import plot_activation_heatmap

# %% [markdown]
# ## A recording
#
# `kn.record` runs a trained policy and returns an `xarray.Dataset`. Here it is for the shipped
# walker; with a path instead of a name, for one that you trained yourself. The same seed gives the
# same recording.

# %%
recording = kn.record("walk", duration=8.0, seed=0)
recording

# %% [markdown]
# Every variable names its dims and carries its units, so nothing has to be looked up.

# %%
for name in ("excitation", "muscle_force", "joint_moment", "ground_force"):
    variable = recording[name]
    print(f"{name:14} {variable.dims!s:32} [{variable.attrs['units']}]")

# %% [markdown]
# Where the recording comes from is in its attributes: body, motion, policy and seed, each of the
# first three with a hash.

# %%
for name in ("body", "motion", "policy", "actuation", "seed", "sampling_rate", "n_falls"):
    print(f"{name:14} {recording.attrs[name]}")

# %% [markdown]
# ## Choosing by label
#
# Muscles have the coordinates `side` and `group`. No index has to be counted.

# %%
calf = recording["muscle_force"].sel(muscle=["soleus_r", "gasmed_r", "gaslat_r"])
lines = calf.sel(time=slice(1, 4)).plot.line(x="time", hue="muscle", figsize=(7, 2.6), lw=1.2)

# %%
activation = recording["activation"]
right = activation.where(activation["side"] == "right", drop=True)
right.mean("time").groupby("group").mean().to_series().sort_values(ascending=False).head(5)

# %% [markdown]
# ## Gait cycles
#
# `segment_cycles` finds heel strikes in the ground forces and cuts each muscle at those of its own
# foot. Cycles of unusual duration are left out, and the result says how many and why.

# %%
cycles = segment_cycles(recording[["activation", "ground_force"]])
print(dict(cycles.sizes))
print(cycles.attrs["cycle_rejection"])

# %%
statistics = cycle_statistics(cycles)
plot_activation(statistics, share_y=False)

# %% [markdown]
# All muscles of a leg at once, from the hip down:

# %%
plot_activation_heatmap(statistics)

# %% [markdown]
# A muscle is not active because the person's is: static optimisation of the reference is in the
# making of the shipped policies (the page on training says how), and no EMG is.
#
# ## Files
#
# NetCDF for your own work, NWB for sharing. Both give back exactly what was written.

# %%
with tempfile.TemporaryDirectory() as folder:
    kn.write_netcdf(recording, Path(folder, "walk.nc"))
    kn.write_nwb(recording, Path(folder, "walk.nwb"))
    with kn.read_nwb(Path(folder, "walk.nwb")) as again:
        xr.testing.assert_identical(recording, again.load())
    for path in sorted(Path(folder).iterdir()):
        print(f"{path.name:10} {path.stat().st_size / 1e6:.1f} MB")
