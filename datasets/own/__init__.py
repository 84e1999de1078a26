"""Data sets of the user: a folder per label, or a manifest."""
