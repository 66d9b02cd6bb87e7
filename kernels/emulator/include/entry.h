// How a kernel is called from outside, with the argument list of cuLaunchKernel: one pointer per argument.
#pragma once

namespace emulator {

// An array in shared memory and bytes behind it that no kernel may touch. The name ends in `_fenced`, by which the
// checks know it.
constexpr size_t fence_bytes = 128;
template <class Array>
struct Fenced {
    Array array;
    unsigned char fence[fence_bytes];
};

template <auto kernel>
struct Entry;

template <class... Parameters, void (*kernel)(Parameters...)>
struct Entry<kernel> {
    template <size_t... index>
    EMULATOR_UNCHECKED static void call(void** arguments, std::index_sequence<index...>) {
        kernel(*static_cast<std::remove_const_t<Parameters>*>(arguments[index])...);
    }
    EMULATOR_UNCHECKED static void thunk(void** arguments) {
        call(arguments, std::index_sequence_for<Parameters...>{});
    }
    // Size in bytes of each parameter, ended by zero: to be compared with what the caller believes.
    static constexpr unsigned sizes[] = {sizeof(Parameters)..., 0};
};

}  // namespace emulator

#define EMULATOR_ENTRY(name)                                                                       \
    extern "C" __attribute__((visibility("default"))) void emulator_run_##name(void** arguments) { \
        emulator::run_grid(&emulator::Entry<&name>::thunk, arguments);                             \
    }                                                                                              \
    extern "C" __attribute__((visibility("default"))) const unsigned* emulator_sizes_##name() {    \
        return emulator::Entry<&name>::sizes;                                                      \
    }
