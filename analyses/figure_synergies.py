"""Figure: muscle synergies of a person and of simulations, matched, with a null.

python analyses/figure_synergies.py [--out FOLDER] [--recordings FOLDER]
"""

from kinesis_neuro.figures.script import main

if __name__ == "__main__":
    main("synergies")
