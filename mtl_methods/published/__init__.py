"""State dicts of public code, translated into those of the methods here; one module per family of networks."""
