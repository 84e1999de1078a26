"""Parts of several regularizers."""
