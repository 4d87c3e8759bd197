"""Where a control step of the environment spends its time, by part: a Markdown table.

    python benchmarks/step_profile.py [--actuation moment] [--n-envs 128] [--steps 60]

With one thread, and by processor time, so that a busy machine matters little. The parts do not
overlap; "other" is what is left of `ImitationEnv.step`.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import time

import numpy as np

from kinesis_neuro.body.actuation import ACTUATIONS
from kinesis_neuro.env.config import ImitationConfig
from kinesis_neuro.env.imitation import ImitationEnv
from kinesis_neuro.motion.library import load_motion

# File's end and function of each part, as the profiler has them.
PARTS = {
    "physics (MuJoCo)": ("~", "rollout>"),
    "physics: what surrounds each call": ("env/simulation.py", "step"),
    "actuation: once a control step": ("env/drive.py", "plan"),
    "actuation: at every physics step": ("env/drive.py", "excite"),
    "observations": ("env/imitation.py", "observe"),
    "distances": ("env/imitation.py", "tracked"),
    "reward": ("env/imitation.py", "_reward"),
    "new episodes": ("env/imitation.py", "_restart"),
}
WHOLE = ("env/imitation.py", "step")


def seconds(stats: pstats.Stats, part: tuple[str, str]) -> float:
    file, function = part
    return sum(
        cumulative
        for (path, _, name), (_, _, _, cumulative, _) in stats.stats.items()  # type: ignore[attr-defined]
        if path.endswith(file) and (name == function or (file == "~" and function in name))
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--actuation", default="moment", choices=ACTUATIONS)
    parser.add_argument("--n-envs", type=int, default=128)
    parser.add_argument("--steps", type=int, default=60)
    arguments = parser.parse_args()
    config = ImitationConfig(actuation=arguments.actuation)
    env = ImitationEnv([load_motion("walk")], config, n_envs=arguments.n_envs, n_threads=1)
    rng = np.random.default_rng(0)
    rest = -0.9 if arguments.actuation == "excitation" else 0.0
    shape = (arguments.n_envs, len(env.action_channels))

    def play(n: int) -> None:
        for _ in range(n):
            env.step(rest + 0.2 * rng.standard_normal(shape))

    play(48)  # let episodes spread over their times
    profile = cProfile.Profile(time.process_time)
    profile.runcall(play, arguments.steps)
    env.close()
    stats = pstats.Stats(profile)
    whole = seconds(stats, WHOLE)
    spent = {name: seconds(stats, part) for name, part in PARTS.items()}
    spent["physics: what surrounds each call"] -= spent["physics (MuJoCo)"]
    spent["other"] = whole - sum(spent.values())
    print(f"`{arguments.actuation}`, {arguments.n_envs} environments, one thread\n")
    print("| part | ms a control step | share |\n|---|---:|---:|")
    for name, value in spent.items():
        print(f"| {name} | {1e3 * value / arguments.steps:.2f} | {value / whole:.1%} |")
    print(f"| all | {1e3 * whole / arguments.steps:.2f} | 100.0% |")


if __name__ == "__main__":
    main()
