"""Figure: activation of all muscles of a leg over the gait cycle.

python analyses/figure_heat_map.py [--out FOLDER] [--recordings FOLDER]
"""

from kinesis_neuro.figures.script import main

if __name__ == "__main__":
    main("heat_map")
