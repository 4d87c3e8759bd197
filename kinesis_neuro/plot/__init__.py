"""Results to matplotlib figures: pure functions that compute no statistic."""
