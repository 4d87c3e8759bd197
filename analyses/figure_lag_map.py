"""Figure: r of each muscle at every lag between simulation and people.

python analyses/figure_lag_map.py [--out FOLDER] [--recordings FOLDER]
"""

from kinesis_neuro.figures.script import main

if __name__ == "__main__":
    main("lag_map")
