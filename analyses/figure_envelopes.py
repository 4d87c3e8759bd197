"""Figure: simulated activation over people's EMG, with the band in which people lie.

python analyses/figure_envelopes.py [--out FOLDER] [--recordings FOLDER]
"""

from kinesis_neuro.figures.script import main

if __name__ == "__main__":
    main("envelopes")
