// float4 and its relatives. Each is copied as one machine vector, so that checks see one access as wide as a GPU's.
#pragma once

#define EMULATOR_VECTOR_COPY(Name, T, lanes)                                                               \
    typedef T Whole __attribute__((vector_size(lanes * sizeof(T)), may_alias));                            \
    Name() = default;                                                                                      \
    Name(const Name& other) { *reinterpret_cast<Whole*>(this) = *reinterpret_cast<const Whole*>(&other); } \
    Name& operator=(const Name& other) {                                                                   \
        *reinterpret_cast<Whole*>(this) = *reinterpret_cast<const Whole*>(&other);                         \
        return *this;                                                                                      \
    }

#define EMULATOR_VECTOR1(Name, T) \
    struct Name {                 \
        T x;                      \
    };                            \
    EMULATOR_INLINE Name make_##Name(T x) { return Name{x}; }

#define EMULATOR_VECTOR2(Name, T)                \
    struct alignas(2 * sizeof(T)) Name {         \
        T x, y;                                  \
        EMULATOR_VECTOR_COPY(Name, T, 2)         \
        constexpr Name(T x, T y) : x(x), y(y) {} \
    };                                           \
    EMULATOR_INLINE Name make_##Name(T x, T y) { return Name(x, y); }

// CUDA gives three-element vectors no more than their element's alignment.
#define EMULATOR_VECTOR3(Name, T) \
    struct Name {                 \
        T x, y, z;                \
    };                            \
    EMULATOR_INLINE Name make_##Name(T x, T y, T z) { return Name{x, y, z}; }

#define EMULATOR_VECTOR4(Name, T)                                      \
    struct alignas(4 * sizeof(T)) Name {                               \
        T x, y, z, w;                                                  \
        EMULATOR_VECTOR_COPY(Name, T, 4)                               \
        constexpr Name(T x, T y, T z, T w) : x(x), y(y), z(z), w(w) {} \
    };                                                                 \
    EMULATOR_INLINE Name make_##Name(T x, T y, T z, T w) { return Name(x, y, z, w); }

// 32 bytes are two accesses on a GPU, so these stay plain structures.
#define EMULATOR_VECTOR4_WIDE(Name, T) \
    struct alignas(16) Name {          \
        T x, y, z, w;                  \
    };                                 \
    EMULATOR_INLINE Name make_##Name(T x, T y, T z, T w) { return Name{x, y, z, w}; }

#define EMULATOR_VECTORS(name, T) \
    EMULATOR_VECTOR1(name##1, T)  \
    EMULATOR_VECTOR2(name##2, T)  \
    EMULATOR_VECTOR3(name##3, T)  \
    EMULATOR_VECTOR4(name##4, T)

#define EMULATOR_WIDE_VECTORS(name, T) \
    EMULATOR_VECTOR1(name##1, T)       \
    EMULATOR_VECTOR2(name##2, T)       \
    EMULATOR_VECTOR3(name##3, T)       \
    EMULATOR_VECTOR4_WIDE(name##4, T)

EMULATOR_VECTORS(char, signed char)
EMULATOR_VECTORS(uchar, unsigned char)
EMULATOR_VECTORS(short, short)
EMULATOR_VECTORS(ushort, unsigned short)
EMULATOR_VECTORS(int, int)
EMULATOR_VECTORS(float, float)
EMULATOR_VECTOR1(uint1, unsigned)
EMULATOR_VECTOR2(uint2, unsigned)
EMULATOR_VECTOR4(uint4, unsigned)
EMULATOR_WIDE_VECTORS(longlong, long long)
EMULATOR_WIDE_VECTORS(ulonglong, unsigned long long)
EMULATOR_WIDE_VECTORS(double, double)

EMULATOR_INLINE uint3 make_uint3(unsigned x, unsigned y, unsigned z) { return uint3{x, y, z}; }
