"""Cost of a method and a regularizer: parameters, operations, time and memory; see tools/measure_cost.py."""
