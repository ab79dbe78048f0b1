"""The run: stages, steps, checkpoints, logs."""
