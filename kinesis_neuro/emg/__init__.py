"""The humans' side: EMG, and gait cycles of anything that has a time axis and muscles."""
