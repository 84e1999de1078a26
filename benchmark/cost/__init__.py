"""What a method and a regularizer cost: parameters, multiplications, time and memory; see tools/measure_cost.py."""
