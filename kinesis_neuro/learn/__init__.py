"""The learner: policies, PPO, training, cloning."""
