"""Figure: r of all pairs: people with each other, simulations and baselines with people.

python analyses/figure_correlation_boxes.py [--out FOLDER] [--recordings FOLDER]
"""

from kinesis_neuro.figures.script import main

if __name__ == "__main__":
    main("correlation_boxes")
