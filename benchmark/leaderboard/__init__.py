"""Results and published numbers -> rows -> statistics -> Markdown, CSV, LaTeX, figures, page. Imports no torch."""
