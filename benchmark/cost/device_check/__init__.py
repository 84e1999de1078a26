"""Checks of the suite on one device: published recipes at full size, equality with a CPU, resuming, speed."""
