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
# # The same muscles under other goals
#
# A policy that imitates a gait can be asked for more: to walk where and as fast as it is told, to
# stand at a target, to kick a ball, to do what a sentence says. What its muscles do under each goal
# is a recording like any other.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr

import kinesis_neuro as kn
from kinesis_neuro.env.tasks.commander import Commander
from kinesis_neuro.follow_text import follow

# %% [markdown]
# ## Heading and speed
#
# A schedule of commands: time [s], speed [m/s] and heading [rad], to the left positive. The body
# walks ahead, turns by 90 degrees to the left, slows down and stands. It does not know what comes
# next.

# %%
schedule = [(0.0, 1.0, 0.0), (3.0, 1.0, np.pi / 2), (7.0, 0.7, np.pi / 2), (8.5, 0.0, np.pi / 2)]
walk = kn.record("steer", duration=11.0, prepare=lambda env: Commander(env).follow(schedule))
print(f"{walk.attrs['n_falls']} falls in {float(walk.time[-1]):.1f} s")

# %% [markdown]
# What was asked, and what the pelvis did: its way over the last stride, so that a body that drifts
# from its reference would show.

# %%
stride = round(1.2 * walk.attrs["sampling_rate"])
place = walk["root_position"].sel(space=["x", "y"])
velocity = (place - place.shift(time=stride)) / 1.2
speed = np.hypot(*velocity.transpose("space", ...))
heading = np.degrees(np.arctan2(velocity.sel(space="x"), -velocity.sel(space="y")))

figure, (left, middle, right) = plt.subplots(1, 3, figsize=(10, 3), layout="constrained")
left.plot(walk.time, walk["commanded_speed"], "k--", label="commanded")
left.plot(walk.time, speed, label="pelvis")
left.set(xlabel="time [s]", ylabel="speed [m/s]")
left.legend(frameon=False)
middle.plot(walk.time, np.degrees(walk["commanded_heading"]), "k--")
middle.plot(walk.time, heading.where(speed > 0.3))
middle.set(xlabel="time [s]", ylabel="heading [deg]")
right.plot(place.sel(space="x"), -place.sel(space="y"))
right.set(xlabel="to the left [m]", ylabel="ahead [m]", aspect="equal")
right.invert_xaxis()

# %% [markdown]
# Is a leg's work another one on the outside of the turn? Mean activation by muscle group while the
# body walks straight on, and while it turns to the left:

# %%
parts = {"straight": slice(1.0, 3.2), "turning left": slice(3.6, 5.6)}
mean = xr.concat(
    [walk["activation"].sel(time=part).mean("time") for part in parts.values()],
    pd.Index(parts, name="way"),
)
table = mean.groupby(["group", "side"]).mean().to_dataframe().activation.unstack(["way", "side"])
table.loc[table.mean(axis=1).nlargest(6).index].round(3)

# %% [markdown]
# ## A target
#
# Two metres ahead and one to the left: the body walks there and stands. A law turns the place of
# the target into commands; the muscles are the policy's.

# %%
reach = kn.record("reach", duration=15.0, prepare=lambda env: env.goal.set_target((1.0, -2.0)))
distance = reach["target_distance"]
print(f"{float(distance[-1]):.2f} m from the target after {float(reach.time[-1]):.1f} s")
lines = distance.plot(figsize=(7, 2.2))

# %% [markdown]
# ## A penalty
#
# `kick` walks up to a ball and sends it at the goal. Another seed is another place of the ball and
# another keeper.

# %%
kick = kn.record("kick", seed=3)
ball = kick["ball_position"]
speed = np.linalg.norm(kick["ball_velocity"], axis=1)
struck = float(kick.time[np.argmax(speed > 1.0)])
print(f"the ball leaves after {struck:.2f} s with {speed.max():.1f} m/s")

# %%
muscles = ["iliacus_r", "recfem_r", "vaslat_r", "bflh_r", "soleus_l"]
around = kick["activation"].sel(muscle=muscles, time=slice(struck - 1.2, struck + 0.3))
around = around.assign_coords(time=around.time - struck)
lines = around.plot.line(x="time", hue="muscle", figsize=(7, 2.6), lw=1.2)

# %% [markdown]
# ## A sentence
#
# Sentences pick, trim and join clips of a motion library. Without one there is the built-in gait,
# which walks straight on; what it cannot do is refused in words.

# %%
told = follow("walk forward for four seconds")
print(f"{told.attrs['n_falls']} falls in {float(told.time[-1]):.1f} s")
try:
    follow("turn left and run")
except kn.KinesisError as error:
    print(error)
