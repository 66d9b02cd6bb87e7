// What the checks and the asynchronous units ask of each other.
#pragma once

#include "machine.h"

namespace emulator {

// Poisons shared memory with NaN and, when checking, forgets what the last block did.
void start_shared_memory();
// Called in check mode only.
void check_exit(const Thread& thread);
void finish_block();

// Asynchronous units (asynchronous.cpp). They work as late as the program allows: only when a thread waits for them, or
// when no thread can run. So a missing wait shows.
void start_asynchronous();
// Lets one operation finish; false if none is under way.
bool advance_asynchronous();
bool has_asynchronous();

// Happens-before (clock.cpp). All do nothing unless checking.
void synchronize_block();
void synchronize(const unsigned* ranks, unsigned count);

}  // namespace emulator
