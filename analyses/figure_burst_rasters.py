"""Figure: when muscles are on, cycle by cycle, of a person and of simulations.

python analyses/figure_burst_rasters.py [--out FOLDER] [--recordings FOLDER]
"""

from kinesis_neuro.figures.script import main

if __name__ == "__main__":
    main("burst_rasters")
