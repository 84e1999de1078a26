"""From prepared files to batches: reading, caching, joint transforms, pairs of views."""
