"""Multi-task methods: one module each, registered in `benchmark.registry.METHODS`."""
