"""Loading of prepared data: reading, caching, joint transforms, pairs of views."""
