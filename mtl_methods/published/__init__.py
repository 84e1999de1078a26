"""Translation of state dicts of public code into state dicts of our methods; one module per family of networks."""
