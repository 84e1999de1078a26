"""Trained models on pictures of the user: description, loading, prediction, export. Imports no data set."""
