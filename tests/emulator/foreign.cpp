// Launches kernels of a library on the processor that both are built for; foreign.py is the other side.
//
//     foreign sizes LIBRARY KERNEL     the sizes of the kernel's parameters, as the compiler sees them
//     foreign launch LIBRARY FOLDER    FOLDER/launch says what to call, FOLDER/memory holds the arrays one after another
#include <dlfcn.h>
#include <sys/mman.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

static void* library;

template <class Function>
static Function* function(const std::string& name) {
    void* found = dlsym(library, name.c_str());
    if (!found) {
        std::cerr << "no function " << name << "\n";
        std::exit(2);
    }
    return reinterpret_cast<Function*>(found);
}

// As in kernels/emulator/source/interface.cpp.
struct FindingView {
    const char *kind, *message;
    const void* place;
    unsigned block[3], thread[3];
    int has_block, has_thread;
};

struct CounterView {
    const void* place;
    int operation, space;
    unsigned size;
    uint64_t requests, threads, cost, ideal;
};

struct Buffer {
    char* memory;
    size_t bytes;
};

// Between pages of its own that nobody uses, so that what leaves it does not land in another.
static Buffer allocate(size_t bytes) {
    constexpr size_t around = 1 << 16;
    size_t whole = (bytes + 3 * around) / around * around;
    void* memory = mmap(nullptr, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) std::exit(3);
    return {static_cast<char*>(memory) + around, bytes};
}

static int launch(const std::string& folder) {
    std::ifstream orders(folder + "/launch");
    std::string word, name;
    size_t count;

    orders >> word >> count;  // variables
    for (size_t i = 0; i < count; ++i) {
        size_t offset, bytes, fence;
        orders >> offset >> bytes >> fence >> name;
        // Names live as long as the library.
        function<void(size_t, size_t, size_t, const char*)>("emulator_variable")(offset, bytes, fence,
                                                                                (new std::string(name))->c_str());
    }
    unsigned grid[3], block[3];
    size_t shared;
    int schedule, checking;
    uint64_t seed;
    orders >> grid[0] >> grid[1] >> grid[2] >> block[0] >> block[1] >> block[2] >> shared >> schedule >> seed >> checking;
    function<void(const unsigned*, const unsigned*, size_t, int, uint64_t, int)>("emulator_prepare")(
        grid, block, shared, schedule, seed, checking);

    std::ifstream contents(folder + "/memory", std::ios::binary);
    std::vector<Buffer> buffers;
    orders >> word >> count;  // buffers
    for (size_t i = 0; i < count; ++i) {
        size_t bytes;
        unsigned item;
        int output;
        orders >> bytes >> item >> output >> name;
        buffers.push_back(allocate(bytes));
        contents.read(buffers[i].memory, static_cast<std::streamsize>(bytes));
        function<void(uintptr_t, size_t, unsigned, const char*, int)>("emulator_buffer")(
            reinterpret_cast<uintptr_t>(buffers[i].memory), bytes, item, (new std::string(name))->c_str(), output);
    }

    std::string kernel;
    orders >> word >> kernel >> count;  // arguments
    std::vector<std::vector<char>> values(count);
    std::vector<void*> arguments;
    for (std::vector<char>& value : values) {
        orders >> word;
        if (word == "buffer") {
            size_t index;
            orders >> index;
            char* memory = buffers[index].memory;
            value.assign(reinterpret_cast<char*>(&memory), reinterpret_cast<char*>(&memory + 1));
        } else {
            orders >> count;
            for (size_t i = 0; i < count; ++i) {
                int byte;
                orders >> byte;
                value.push_back(static_cast<char>(byte));
            }
        }
        arguments.push_back(value.data());
    }
    if (!orders) return 4;
    function<void(void**)>("emulator_run_" + kernel)(arguments.data());

    std::ofstream results(folder + "/results", std::ios::binary);
    for (const Buffer& buffer : buffers) results.write(buffer.memory, static_cast<std::streamsize>(buffer.bytes));
    results.close();

    std::cout << "image " << function<uintptr_t()>("emulator_image")() << "\n";
    for (size_t i = 0; i < function<size_t()>("emulator_finding_count")(); ++i) {
        FindingView view;
        function<void(size_t, FindingView*)>("emulator_finding")(i, &view);
        std::cout << "finding " << view.kind << " " << reinterpret_cast<uintptr_t>(view.place) << " " << view.has_block
                  << " " << view.has_thread;
        for (unsigned size : view.block) std::cout << " " << size;
        for (unsigned size : view.thread) std::cout << " " << size;
        std::cout << " " << view.message << "\n";
    }
    for (size_t i = 0; i < function<size_t()>("emulator_counter_count")(); ++i) {
        CounterView view;
        function<void(size_t, CounterView*)>("emulator_counter")(i, &view);
        std::cout << "counter " << reinterpret_cast<uintptr_t>(view.place) << " " << view.operation << " " << view.space
                  << " " << view.size << " " << view.requests << " " << view.threads << " " << view.cost << " "
                  << view.ideal << "\n";
    }
    return 0;
}

int main(int count, char** words) {
    if (count != 4) return 1;
    library = dlopen(words[2], RTLD_NOW);
    if (!library) {
        std::cerr << dlerror() << "\n";
        return 2;
    }
    if (std::string(words[1]) == "launch") return launch(words[3]);
    const unsigned* size = function<const unsigned*()>("emulator_sizes_" + std::string(words[3]))();
    for (; *size; ++size) std::cout << *size << " ";
    return 0;
}
