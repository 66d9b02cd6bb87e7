// __half and __nv_bfloat16. Arithmetic is done in float and rounded once, which is exact IEEE rounding for + - * / and
// sqrt (the double rounding is harmless because float has more than twice the digits of either type, plus two).
#pragma once

namespace emulator {

inline uint32_t float_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    return bits;
}

inline float bits_float(uint32_t bits) {
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

#if defined(__F16C__)
// Built-in functions instead of <immintrin.h>, which alone would double the time that a kernel takes to build.
typedef float FourFloats __attribute__((vector_size(16)));
typedef short EightHalves __attribute__((vector_size(16)));
#endif

// Rounds to nearest, ties to even. NaN becomes CUDA's canonical NaN.
inline uint16_t float_to_half_bits(float value) {
    uint32_t bits = float_bits(value), magnitude = bits & 0x7fffffffu;
    uint16_t sign = static_cast<uint16_t>(bits >> 16 & 0x8000u);
    if (magnitude > 0x7f800000u) return 0x7fff;
#if defined(__F16C__)
    return static_cast<uint16_t>(__builtin_ia32_vcvtps2ph(FourFloats{value}, 0)[0]);
#else
    if (magnitude >= 0x477ff000u) return sign | 0x7c00u;  // 65520 and above round to infinity
    if (magnitude < 0x38800000u) {                        // below 2^-14: a multiple of 2^-24
        float scaled = bits_float(magnitude) * 16777216.0f;
        return sign | static_cast<uint16_t>(std::nearbyintf(scaled));
    }
    uint32_t rounded = magnitude + 0x0fffu + (magnitude >> 13 & 1u);
    return sign | static_cast<uint16_t>((rounded - 0x38000000u) >> 13);
#endif
}

inline float half_bits_to_float(uint16_t half) {
#if defined(__F16C__)
    return __builtin_ia32_vcvtph2ps(EightHalves{static_cast<short>(half)})[0];
#else
    uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16, magnitude = half & 0x7fffu;
    if (magnitude >= 0x7c00u) return bits_float(sign | 0x7f800000u | (magnitude & 0x3ffu) << 13);
    if (magnitude < 0x400u) return bits_float(sign | float_bits(static_cast<float>(magnitude) / 16777216.0f));
    return bits_float(sign | ((magnitude << 13) + 0x38000000u));
#endif
}

inline uint16_t float_to_bfloat16_bits(float value) {
    uint32_t bits = float_bits(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fff;
    return static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

inline float bfloat16_bits_to_float(uint16_t bits) { return bits_float(static_cast<uint32_t>(bits) << 16); }

// A float that rounds to the same 16-bit value as the double does: inexact results get an odd last digit.
inline float round_to_odd(double value) {
    float nearest = static_cast<float>(value);
    if (static_cast<double>(nearest) == value || std::isnan(value) || std::isinf(nearest)) return nearest;
    if (float_bits(nearest) & 1u) return nearest;
    bool too_large = std::fabs(static_cast<double>(nearest)) > std::fabs(value);
    return bits_float(float_bits(nearest) + (too_large ? -1u : 1u));
}

}  // namespace emulator

#define EMULATOR_SMALL_FLOAT(Name, Raw, Pair, to_bits, to_float)                                               \
    struct Raw {                                                                                               \
        uint16_t x;                                                                                            \
    };                                                                                                         \
    struct Name {                                                                                              \
        uint16_t bits;                                                                                         \
        Name() = default;                                                                                      \
        Name(float value) : bits(emulator::to_bits(value)) {}                                                  \
        Name(double value) : bits(emulator::to_bits(emulator::round_to_odd(value))) {}                         \
        Name(int value) : Name(static_cast<double>(value)) {}                                                  \
        Name(unsigned value) : Name(static_cast<double>(value)) {}                                             \
        Name(long value) : Name(static_cast<double>(value)) {}                                                 \
        Name(Raw raw) : bits(raw.x) {}                                                                         \
        operator Raw() const { return Raw{bits}; }                                                             \
        operator float() const { return emulator::to_float(bits); }                                            \
        Name operator-() const { return Raw{static_cast<uint16_t>(bits ^ 0x8000u)}; }                          \
        Name& operator+=(Name other) { return *this = float(*this) + float(other); }                           \
        Name& operator-=(Name other) { return *this = float(*this) - float(other); }                           \
        Name& operator*=(Name other) { return *this = float(*this) * float(other); }                           \
        Name& operator/=(Name other) { return *this = float(*this) / float(other); }                           \
    };                                                                                                         \
    inline Name operator+(Name a, Name b) { return a += b; }                                                   \
    inline Name operator-(Name a, Name b) { return a -= b; }                                                   \
    inline Name operator*(Name a, Name b) { return a *= b; }                                                   \
    inline Name operator/(Name a, Name b) { return a /= b; }                                                   \
    inline bool operator==(Name a, Name b) { return float(a) == float(b); }                                    \
    inline bool operator!=(Name a, Name b) { return float(a) != float(b); }                                    \
    inline bool operator<(Name a, Name b) { return float(a) < float(b); }                                      \
    inline bool operator>(Name a, Name b) { return float(a) > float(b); }                                      \
    inline bool operator<=(Name a, Name b) { return float(a) <= float(b); }                                    \
    inline bool operator>=(Name a, Name b) { return float(a) >= float(b); }                                    \
    struct alignas(4) Pair {                                                                                   \
        Name x, y;                                                                                             \
        typedef uint32_t Whole __attribute__((may_alias));                                                     \
        Pair() = default;                                                                                      \
        Pair(Name x, Name y) : x(x), y(y) {}                                                                   \
        Pair(const Pair& other) { *reinterpret_cast<Whole*>(this) = *reinterpret_cast<const Whole*>(&other); } \
        Pair& operator=(const Pair& other) {                                                                   \
            *reinterpret_cast<Whole*>(this) = *reinterpret_cast<const Whole*>(&other);                         \
            return *this;                                                                                      \
        }                                                                                                      \
    };                                                                                                         \
    inline Name __habs(Name a) { return Raw{static_cast<uint16_t>(a.bits & 0x7fffu)}; }                        \
    inline Name __hneg(Name a) { return -a; }                                                                  \
    inline Name __hadd(Name a, Name b) { return a + b; }                                                       \
    inline Name __hsub(Name a, Name b) { return a - b; }                                                       \
    inline Name __hmul(Name a, Name b) { return a * b; }                                                       \
    inline Name __hdiv(Name a, Name b) { return a / b; }                                                       \
    inline Name __hfma(Name a, Name b, Name c) { return double(float(a)) * float(b) + float(c); }              \
    inline Name __hmin(Name a, Name b) { return fminf(a, b); }                                                 \
    inline Name __hmax(Name a, Name b) { return fmaxf(a, b); }                                                 \
    inline bool __hisnan(Name a) { return std::isnan(float(a)); }                                              \
    inline bool __heq(Name a, Name b) { return a == b; }                                                       \
    inline bool __hlt(Name a, Name b) { return a < b; }                                                        \
    inline bool __hgt(Name a, Name b) { return a > b; }                                                        \
    inline Name hsqrt(Name a) { return sqrtf(a); }                                                             \
    inline Name hrsqrt(Name a) { return 1.0 / std::sqrt(double(float(a))); }                                   \
    inline Name hexp(Name a) { return std::exp(double(float(a))); }                                            \
    inline Name hlog(Name a) { return std::log(double(float(a))); }                                            \
    inline Pair __hadd2(Pair a, Pair b) { return {a.x + b.x, a.y + b.y}; }                                     \
    inline Pair __hsub2(Pair a, Pair b) { return {a.x - b.x, a.y - b.y}; }                                     \
    inline Pair __hmul2(Pair a, Pair b) { return {a.x * b.x, a.y * b.y}; }                                     \
    inline Pair __hfma2(Pair a, Pair b, Pair c) { return {__hfma(a.x, b.x, c.x), __hfma(a.y, b.y, c.y)}; }     \
    inline Pair __hmin2(Pair a, Pair b) { return {__hmin(a.x, b.x), __hmin(a.y, b.y)}; }                       \
    inline Pair __hmax2(Pair a, Pair b) { return {__hmax(a.x, b.x), __hmax(a.y, b.y)}; }                       \
    inline Pair operator+(Pair a, Pair b) { return __hadd2(a, b); }                                            \
    inline Pair operator-(Pair a, Pair b) { return __hsub2(a, b); }                                            \
    inline Pair operator*(Pair a, Pair b) { return __hmul2(a, b); }

EMULATOR_SMALL_FLOAT(__half, __half_raw, __half2, float_to_half_bits, half_bits_to_float)
EMULATOR_SMALL_FLOAT(__nv_bfloat16, __nv_bfloat16_raw, __nv_bfloat162, float_to_bfloat16_bits, bfloat16_bits_to_float)
using half = __half;
using half2 = __half2;
using nv_bfloat16 = __nv_bfloat16;
using nv_bfloat162 = __nv_bfloat162;

inline float __half2float(__half a) { return a; }
inline __half __float2half(float a) { return a; }
inline __half __float2half_rn(float a) { return a; }
inline __half __double2half(double a) { return a; }
inline __half __int2half_rn(int a) { return a; }
inline __half __ushort_as_half(unsigned short bits) { return __half_raw{bits}; }
inline __half __short_as_half(short bits) { return __half_raw{static_cast<uint16_t>(bits)}; }
inline unsigned short __half_as_ushort(__half a) { return a.bits; }
inline short __half_as_short(__half a) { return static_cast<short>(a.bits); }
inline __half2 __floats2half2_rn(float a, float b) { return {a, b}; }
inline __half2 __float22half2_rn(float2 a) { return {a.x, a.y}; }
inline __half2 __float2half2_rn(float a) { return {a, a}; }
inline __half2 __halves2half2(__half a, __half b) { return {a, b}; }
inline __half2 __half2half2(__half a) { return {a, a}; }
inline __half2 make_half2(__half a, __half b) { return {a, b}; }
inline float2 __half22float2(__half2 a) { return {a.x, a.y}; }
inline float __low2float(__half2 a) { return a.x; }
inline float __high2float(__half2 a) { return a.y; }
inline __half __low2half(__half2 a) { return a.x; }
inline __half __high2half(__half2 a) { return a.y; }

inline float __bfloat162float(__nv_bfloat16 a) { return a; }
inline __nv_bfloat16 __float2bfloat16(float a) { return a; }
inline __nv_bfloat16 __float2bfloat16_rn(float a) { return a; }
inline __nv_bfloat16 __double2bfloat16(double a) { return a; }
inline __nv_bfloat16 __ushort_as_bfloat16(unsigned short bits) { return __nv_bfloat16_raw{bits}; }
inline unsigned short __bfloat16_as_ushort(__nv_bfloat16 a) { return a.bits; }
inline __nv_bfloat162 __floats2bfloat162_rn(float a, float b) { return {a, b}; }
inline __nv_bfloat162 __float22bfloat162_rn(float2 a) { return {a.x, a.y}; }
inline __nv_bfloat162 __float2bfloat162_rn(float a) { return {a, a}; }
inline __nv_bfloat162 __halves2bfloat162(__nv_bfloat16 a, __nv_bfloat16 b) { return {a, b}; }
inline __nv_bfloat162 __bfloat162bfloat162(__nv_bfloat16 a) { return {a, a}; }
inline __nv_bfloat162 make_bfloat162(__nv_bfloat16 a, __nv_bfloat16 b) { return {a, b}; }
inline float2 __bfloat1622float2(__nv_bfloat162 a) { return {a.x, a.y}; }
inline float __low2float(__nv_bfloat162 a) { return a.x; }
inline float __high2float(__nv_bfloat162 a) { return a.y; }
inline __nv_bfloat16 __low2bfloat16(__nv_bfloat162 a) { return a.x; }
inline __nv_bfloat16 __high2bfloat16(__nv_bfloat162 a) { return a.y; }
