"""The science: what muscles of simulations and of people do, compared in one vocabulary."""
