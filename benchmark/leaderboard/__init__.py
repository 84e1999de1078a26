"""RunResults and published numbers -> rows -> statistics -> Markdown and CSV. Imports no torch."""
