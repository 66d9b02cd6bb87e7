"""Policies of dtypes by the names that Keras keeps for older scripts: see ``deepcore.dtype_policies``."""

from __future__ import annotations

from deepcore.dtype_policies import DTypePolicy, dtype_policy, set_dtype_policy
from deepcore.errors import explain_missing

__all__ = ["DTypePolicy", "Policy", "dtype_policy", "global_policy", "set_dtype_policy", "set_global_policy"]

Policy = DTypePolicy
global_policy = dtype_policy
set_global_policy = set_dtype_policy

explain_missing(__name__)
