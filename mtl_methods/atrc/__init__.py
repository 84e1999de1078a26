"""ATRC: adaptive task-relational context, and the search for which context each pair of tasks gets."""
