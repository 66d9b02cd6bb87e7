// CUDA's mathematical and bit intrinsics. The fast ones (__expf …) are as accurate here as the plain ones.
#pragma once

#include <math.h>
#include <stdlib.h>

#define EMULATOR_MIN_MAX(T)                          \
    inline T min(T a, T b) { return b < a ? b : a; } \
    inline T max(T a, T b) { return a < b ? b : a; }
EMULATOR_MIN_MAX(int)
EMULATOR_MIN_MAX(unsigned)
EMULATOR_MIN_MAX(long)
EMULATOR_MIN_MAX(unsigned long)
EMULATOR_MIN_MAX(long long)
EMULATOR_MIN_MAX(unsigned long long)
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }
inline double min(double a, double b) { return fmin(a, b); }
inline double max(double a, double b) { return fmax(a, b); }

inline float rsqrtf(float x) { return static_cast<float>(1.0 / std::sqrt(static_cast<double>(x))); }
inline double rsqrt(double x) { return 1.0 / std::sqrt(x); }
inline float rsqrt(float x) { return rsqrtf(x); }
inline float rcbrtf(float x) { return 1.0f / cbrtf(x); }
inline float exp10f(float x, int = 0) { return powf(10.0f, x); }
inline float sinpif(float x) { return static_cast<float>(std::sin(M_PI * x)); }
inline float cospif(float x) { return static_cast<float>(std::cos(M_PI * x)); }
inline float normcdff(float x) { return 0.5f * erfcf(-x * 0.70710678118654752f); }
inline void sincospif(float x, float* sine, float* cosine) { *sine = sinpif(x), *cosine = cospif(x); }
inline void sincospi(double x, double* sine, double* cosine) {
    // Whole quarters of a turn are taken off first, without rounding, so that pi * x is small.
    const double quarters = std::nearbyint(2 * x), angle = M_PI * (x - quarters / 2);
    const double s = std::sin(angle), c = std::cos(angle);
    switch (static_cast<int>(std::fmod(quarters, 4)) & 3) {
        case 0: *sine = s, *cosine = c; break;
        case 1: *sine = c, *cosine = -s; break;
        case 2: *sine = -s, *cosine = -c; break;
        default: *sine = -c, *cosine = s;
    }
}
inline float fdividef(float a, float b) { return a / b; }
inline float __saturatef(float x) { return fminf(fmaxf(x, 0.0f), 1.0f); }

inline float __expf(float x) { return expf(x); }
inline float __exp10f(float x) { return powf(10.0f, x); }
inline float __logf(float x) { return logf(x); }
inline float __log2f(float x) { return log2f(x); }
inline float __log10f(float x) { return log10f(x); }
inline float __powf(float x, float y) { return powf(x, y); }
inline float __sinf(float x) { return sinf(x); }
inline float __cosf(float x) { return cosf(x); }
inline float __tanf(float x) { return tanf(x); }
inline void __sincosf(float x, float* sine, float* cosine) { *sine = sinf(x), *cosine = cosf(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __frsqrt_rn(float x) { return rsqrtf(x); }

// The rounded operations are never fused: the empty asm hides the value from the optimiser.
namespace emulator {
template <class T>
EMULATOR_INLINE T unfused(T value) {
    asm volatile("" : "+m"(value));
    return value;
}
}  // namespace emulator
inline float __fadd_rn(float a, float b) { return emulator::unfused(a + b); }
inline float __fsub_rn(float a, float b) { return emulator::unfused(a - b); }
inline float __fmul_rn(float a, float b) { return emulator::unfused(a * b); }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __frcp_rn(float a) { return 1.0f / a; }
inline float __fsqrt_rn(float a) { return sqrtf(a); }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline double __dadd_rn(double a, double b) { return emulator::unfused(a + b); }
inline double __dsub_rn(double a, double b) { return emulator::unfused(a - b); }
inline double __dmul_rn(double a, double b) { return emulator::unfused(a * b); }
inline double __fma_rn(double a, double b, double c) { return fma(a, b, c); }

namespace emulator {
template <class To, class From>
EMULATOR_INLINE To bit_cast(From from) {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    memcpy(&to, &from, sizeof(To));
    return to;
}
// Conversions of CUDA saturate, and turn NaN into zero; in C++ they would be undefined.
template <class Integer>
inline Integer saturate(double value) {
    constexpr double low = static_cast<double>(std::is_signed_v<Integer> ? Integer(1) << (sizeof(Integer) * 8 - 1) : 0);
    constexpr double high = sizeof(Integer) == 8 ? (std::is_signed_v<Integer> ? 0x1p63 : 0x1p64)
                                                 : (std::is_signed_v<Integer> ? 0x1p31 : 0x1p32);
    if (std::isnan(value)) return 0;
    if (value >= high)
        return static_cast<Integer>(~Integer(0)) < 0 ? ~(Integer(1) << (sizeof(Integer) * 8 - 1)) : ~Integer(0);
    return value <= low ? static_cast<Integer>(low) : static_cast<Integer>(value);
}
}  // namespace emulator

inline int __float_as_int(float x) { return emulator::bit_cast<int>(x); }
inline unsigned __float_as_uint(float x) { return emulator::bit_cast<unsigned>(x); }
inline float __int_as_float(int x) { return emulator::bit_cast<float>(x); }
inline float __uint_as_float(unsigned x) { return emulator::bit_cast<float>(x); }
inline long long __double_as_longlong(double x) { return emulator::bit_cast<long long>(x); }
inline double __longlong_as_double(long long x) { return emulator::bit_cast<double>(x); }
inline int __float2int_rn(float x) { return emulator::saturate<int>(std::nearbyint(x)); }
inline int __float2int_rz(float x) { return emulator::saturate<int>(std::trunc(x)); }
inline int __float2int_rd(float x) { return emulator::saturate<int>(std::floor(x)); }
inline int __float2int_ru(float x) { return emulator::saturate<int>(std::ceil(x)); }
inline unsigned __float2uint_rn(float x) { return emulator::saturate<unsigned>(std::nearbyint(x)); }
inline unsigned __float2uint_rz(float x) { return emulator::saturate<unsigned>(std::trunc(x)); }
inline float __int2float_rn(int x) { return static_cast<float>(x); }
inline float __uint2float_rn(unsigned x) { return static_cast<float>(x); }
inline float __double2float_rn(double x) { return static_cast<float>(x); }

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x ? __builtin_clz(static_cast<unsigned>(x)) : 32; }
inline int __clzll(long long x) { return x ? __builtin_clzll(static_cast<unsigned long long>(x)) : 64; }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline unsigned __brev(unsigned x) {
    unsigned result = 0;
    for (int bit = 0; bit < 32; ++bit) result |= (x >> bit & 1u) << (31 - bit);
    return result;
}
inline unsigned __umulhi(unsigned a, unsigned b) {
    return static_cast<unsigned>(static_cast<unsigned long long>(a) * b >> 32);
}
inline int __mulhi(int a, int b) { return static_cast<int>(static_cast<long long>(a) * b >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return static_cast<unsigned long long>(static_cast<unsigned __int128>(a) * b >> 64);
}
inline int __mul24(int a, int b) { return (a << 8 >> 8) * (b << 8 >> 8); }
inline unsigned __umul24(unsigned a, unsigned b) { return (a & 0xffffffu) * (b & 0xffffffu); }
inline unsigned __byte_perm(unsigned a, unsigned b, unsigned selector) {
    unsigned long long bytes = static_cast<unsigned long long>(b) << 32 | a;
    unsigned result = 0;
    for (int i = 0; i < 4; ++i) {
        unsigned code = selector >> (4 * i) & 0xfu, byte = bytes >> (8 * (code & 7u)) & 0xffu;
        if (code & 8u) byte = byte & 0x80u ? 0xffu : 0u;
        result |= byte << (8 * i);
    }
    return result;
}
inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned shift) {
    return static_cast<unsigned>((static_cast<unsigned long long>(high) << 32 | low) << (shift & 31u) >> 32);
}
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) {
    return static_cast<unsigned>((static_cast<unsigned long long>(high) << 32 | low) >> (shift & 31u));
}
inline int __dp4a(int a, int b, int c) {
    for (int i = 0; i < 4; ++i) c += static_cast<signed char>(a >> (8 * i)) * static_cast<signed char>(b >> (8 * i));
    return c;
}
inline long long clock64() { return 0; }
