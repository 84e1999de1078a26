"""InvPT: encoder, decoder, aggregation, and the method that joins them."""

from mtl_methods.invpt.method import InvPT

__all__ = ["InvPT"]
