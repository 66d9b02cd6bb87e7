// How well each access site uses memory. The k-th accesses of the lanes of a warp at one site count as one request, as
// they would be on a GPU whose lanes run in step.
#pragma once

#include <unordered_map>
#include <vector>

#include "shadow.h"

namespace emulator {

enum class Space { global, shared };

struct Request {
    uint32_t lanes = 0;
    uint32_t address[32];
};

// The requests of one warp at one site that still lack lanes.
struct Log {
    uint32_t first = 0, complete = 0;
    uint32_t count[32] = {};
    std::vector<Request> requests;
};

struct Site {
    const void* place;
    Operation operation;
    Space space;
    unsigned size;
    uint64_t requests = 0, threads = 0, cost = 0, ideal = 0;
    std::vector<Log> logs;  // one a warp
};

class Sites {
public:
    void clear();
    // The site of an access; the same place with another size or space is another one.
    uint16_t find(const void* place, Operation operation, Space space, unsigned size);
    Site& operator[](size_t index) { return sites_[index]; }
    size_t size() const { return sites_.size(); }
    void count(uint16_t site, unsigned thread, uint32_t address);
    void finish_block();

private:
    struct Slot {
        const void* place = nullptr;
        uint32_t what = 0;
        uint16_t site = 0;
    };
    std::vector<Site> sites_;
    std::vector<Slot> table_;
    std::vector<uint16_t> touched_;
};
extern Sites sites;

}  // namespace emulator
