"""Training and evaluating one cell on an mmengine Runner."""
