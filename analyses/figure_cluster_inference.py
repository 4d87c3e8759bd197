"""Figure: where the mean cycles of people and of the simulation differ.

python analyses/figure_cluster_inference.py [--out FOLDER] [--recordings FOLDER]
"""

from kinesis_neuro.figures.script import main

if __name__ == "__main__":
    main("cluster_inference")
