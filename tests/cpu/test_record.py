"""Where arrays lie, as native code is told."""

from __future__ import annotations

import numpy as np
import pytest

from deepcore.kernels.cpu import record


@pytest.mark.parametrize(
    ("address", "addresses"),
    [(record.address, record.addresses), (record._slow_address, record._slow_addresses)],
    ids=["of this interpreter", "of any interpreter"],
)
def test_addresses_are_those_that_numpy_tells(address, addresses):
    whole = np.zeros((4, 6), np.float32)
    arrays = whole, whole[1:, 2:], whole.T, np.zeros((), np.int64)
    expected = [array.__array_interface__["data"][0] for array in arrays]
    assert [address(array) for array in arrays] == expected
    assert addresses(*arrays) == expected
    assert addresses(arrays[0], None, arrays[1]) == [expected[0], 0, expected[1]]
    assert addresses() == []
