// The CUDA language for an ordinary C++ compiler. Included before every kernel file that the emulator builds.
//
// A kernel runs as one fiber per CUDA thread, the blocks of a grid one after the other. `__shared__` variables are
// thread-local variables of the one operating-system thread that runs all fibers: so they work in templates, too, and
// all of them lie in one piece of memory that the runtime can poison and watch.
#pragma once

#define DEEPCORE_EMULATOR 1
#ifndef __CUDA_ARCH__
#define __CUDA_ARCH__ 900
#endif

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __cluster_dims__(...)
#define __grid_constant__
#define __restrict__ __restrict
#define __align__(n) __attribute__((aligned(n)))
#define __constant__ static
#define __managed__
// constinit: an array of float4 would else get a guard variable, in the shared memory that is being watched.
#define __shared__ __constinit thread_local

#include "runtime.h"

#include "vector.h"

#include "half.h"

#include "arithmetic.h"
#include "atomic.h"
#include "load.h"
#include "tensor_core.h"
#include "warp.h"

#include "entry.h"
