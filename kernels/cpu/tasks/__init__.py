"""Tasks: one share of a launch each, plain Python over records and addresses, compiled by Numba when first needed."""
