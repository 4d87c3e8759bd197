"""The plant: models, muscles and actuation."""
