#include "tensor_map.h"

#include <cstring>

#include "shared.h"

namespace emulator {

size_t TensorMap::box_bytes() const {
    size_t bytes = item_bytes;
    for (unsigned axis = 0; axis < (im2col ? 2u : rank); ++axis) bytes *= box[axis];
    return bytes;
}

// One element to where the swizzle puts it; zero where the array has none.
static void put(char* shared_begin, size_t offset, const TensorMap& map, const char* element) {
    size_t origin = static_cast<size_t>(shared_begin - shared.dynamic);
    char* target = shared.dynamic + swizzled(origin + offset, map.swizzle);
    if (element) {
        memcpy(target, element, map.item_bytes);
    } else {
        memset(target, 0, map.item_bytes);
    }
}

void TensorMap::copy_tile(char* target, const int* coordinates) const {
    unsigned index[5] = {};
    size_t elements = box_bytes() / item_bytes;
    for (size_t i = 0; i < elements; ++i) {
        const char* element = base;
        bool inside = true;
        for (unsigned axis = 0; axis < rank; ++axis) {
            int64_t position = int64_t(coordinates[axis]) + index[axis];
            inside &= position >= 0 && position < int64_t(size[axis]);
            element += position * (axis ? int64_t(stride[axis - 1]) : item_bytes);
        }
        put(target, i * item_bytes, *this, inside ? element : nullptr);
        for (unsigned axis = 0; axis < rank && ++index[axis] == box[axis]; ++axis) index[axis] = 0;
    }
}

// Pixels are visited in the order of width, height, image, inside of the bounding box; each is read at its offset.
void TensorMap::copy_im2col(char* target, const int* coordinates, unsigned offset_w, unsigned offset_h) const {
    int channel = coordinates[0], w = coordinates[1], h = coordinates[2], image = coordinates[3];
    for (unsigned pixel = 0; pixel < box[1]; ++pixel) {
        int x = w + int(offset_w), y = h + int(offset_h);
        bool inside = x >= 0 && x < int(size[1]) && y >= 0 && y < int(size[2]) && image >= 0 && image < int(size[3]);
        for (unsigned i = 0; i < box[0]; ++i) {
            const char* element = base + int64_t(channel + i) * item_bytes + x * int64_t(stride[0]) +
                                  y * int64_t(stride[1]) + image * int64_t(stride[2]);
            bool there = inside && channel + int(i) < int(size[0]);
            put(target, (size_t(pixel) * box[0] + i) * item_bytes, *this, there ? element : nullptr);
        }
        w += pixel_stride;
        if (w <= int(size[1]) - 1 + upper[0]) continue;
        w = lower[0];
        h += pixel_stride;
        if (h <= int(size[2]) - 1 + upper[1]) continue;
        h = lower[1];
        ++image;
    }
}

}  // namespace emulator
