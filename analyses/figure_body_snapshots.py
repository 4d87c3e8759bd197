"""Figure: pictures of the body over the gait cycle, muscles coloured by activation.

python analyses/figure_body_snapshots.py [--out FOLDER] [--recordings FOLDER]
"""

from kinesis_neuro.figures.script import main

if __name__ == "__main__":
    main("body_snapshots")
