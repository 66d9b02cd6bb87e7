"""What runs on the metal: loops and kernels that know pointers, sizes and strides, and nothing above them."""
