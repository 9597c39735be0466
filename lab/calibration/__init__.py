"""The lab measures its own middlebox before it measures anything else."""
