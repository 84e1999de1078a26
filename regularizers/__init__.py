"""Training regularizers: one module each, registered in `benchmark.registry.REGULARIZERS`."""
