// What the checks and the asynchronous units ask of each other.
#pragma once

#include "machine.h"

namespace emulator {

// Poisons shared memory with NaN and, when checking, forgets what the last block did.
void start_shared_memory();
// Called in check mode only.
void check_exit(const Thread& thread);
void finish_block();

// Lets one asynchronous operation finish; false if none is under way.
bool advance_asynchronous();

// Happens-before (clock.cpp). All do nothing unless checking.
void synchronize_block();
void synchronize(const unsigned* ranks, unsigned count);

}  // namespace emulator
