"""Boundary evaluation."""
