"""Figure: centres of activity of people and simulations on the circle of the gait cycle.

python analyses/figure_activity_centres.py [--out FOLDER] [--recordings FOLDER]
"""

from kinesis_neuro.figures.script import main

if __name__ == "__main__":
    main("activity_centres")
