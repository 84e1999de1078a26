"""Data sets of the user: a manifest and one folder per label."""
