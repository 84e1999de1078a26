"""Pictures of labels and predictions, and figures of a 3D-aware regularizer."""
