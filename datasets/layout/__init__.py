"""The canonical layout on disk of every prepared data set."""
