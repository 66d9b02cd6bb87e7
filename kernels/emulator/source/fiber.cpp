#include "fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <new>

#if (!defined(__x86_64__) && !defined(__aarch64__)) || defined(EMULATOR_UCONTEXT)
#define EMULATOR_PORTABLE_SWITCH
#include <ucontext.h>

#include <map>
#endif

namespace emulator {

#ifdef EMULATOR_PORTABLE_SWITCH

static ucontext_t scheduler_context;
static std::map<const char*, ucontext_t> contexts;

void Fiber::prepare(char* stack, void (*entry)()) {
    stack_ = stack;
    ucontext_t& context = contexts[stack];
    getcontext(&context);
    context.uc_stack.ss_sp = stack;
    context.uc_stack.ss_size = stack_bytes;
    context.uc_link = nullptr;
    makecontext(&context, entry, 0);
    stopped_at_ = &context;
}

void Fiber::resume() { swapcontext(&scheduler_context, static_cast<ucontext_t*>(stopped_at_)); }
void Fiber::suspend() { swapcontext(static_cast<ucontext_t*>(stopped_at_), &scheduler_context); }

#else

// Saves the registers that a C function must preserve and its stack pointer in *save, then continues where the stack
// pointer `load` was saved.
extern "C" __attribute__((visibility("hidden"))) void emulator_switch(void** save, void* load);

static void* scheduler_stopped_at;

#if defined(__x86_64__)
// System V ABI for x86-64: rbx, rbp, r12 to r15.
asm(R"(
    .text
    .globl emulator_switch
    .hidden emulator_switch
    .type emulator_switch, @function
emulator_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size emulator_switch, . - emulator_switch
)");

static void* first_frame(char* top, void (*entry)()) {
    void** frame = reinterpret_cast<void**>(top);
    *--frame = nullptr;  // the return address of `entry`, which never returns; also aligns its stack
    *--frame = reinterpret_cast<void*>(entry);
    for (int saved = 0; saved < 6; ++saved) *--frame = nullptr;
    return frame;
}
#else
// Procedure call standard for the Arm 64-bit architecture: x19 to x30 and the low halves of v8 to v15.
asm(R"(
    .text
    .globl emulator_switch
    .hidden emulator_switch
    .type emulator_switch, %function
emulator_switch:
    sub sp, sp, #160
    stp x19, x20, [sp, #0]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    ldp x19, x20, [sp, #0]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
    .size emulator_switch, . - emulator_switch
)");

static void* first_frame(char* top, void (*entry)()) {
    void** frame = reinterpret_cast<void**>(top - 160);
    for (int saved = 0; saved < 20; ++saved) frame[saved] = nullptr;
    frame[11] = reinterpret_cast<void*>(entry);  // x30, where the switch returns to
    return frame;
}
#endif

void Fiber::prepare(char* stack, void (*entry)()) {
    stack_ = stack;
    stopped_at_ = first_frame(stack + stack_bytes, entry);
}

void Fiber::resume() { emulator_switch(&scheduler_stopped_at, stopped_at_); }
void Fiber::suspend() { emulator_switch(&stopped_at_, scheduler_stopped_at); }

#endif

static size_t guard_bytes() {
    static const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    return page;
}

static char* stacks = nullptr;
static unsigned reserved = 0;

void adopt_stacks(void* memory, unsigned count) {
    stacks = static_cast<char*>(memory);
    reserved = count;
}

unsigned hand_on_stacks(void** memory) {
    *memory = stacks;
    unsigned count = reserved;
    stacks = nullptr;
    reserved = 0;
    return count;
}

char* reserve_stacks(unsigned count) {
    if (count <= reserved) return stacks;
    if (stacks) munmap(stacks, (stack_bytes + guard_bytes()) * reserved);
    stacks = nullptr;
    reserved = 0;
    size_t bytes = (stack_bytes + guard_bytes()) * count;
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    stacks = static_cast<char*>(memory);
    reserved = count;
    for (unsigned i = 0; i < count; ++i) mprotect(stacks + i * (stack_bytes + guard_bytes()), guard_bytes(), PROT_NONE);
    return stacks;
}

char* stack_of(char* stacks, unsigned index) { return stacks + index * (stack_bytes + guard_bytes()) + guard_bytes(); }

}  // namespace emulator
