/* Arithmetic of every width and kind. All of it is exact or correctly rounded, so that any two right machines print the same. */
#include <emmintrin.h>
#include <fenv.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t state = 88172645463325252u;

static uint64_t next_random(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* Between -1 and 1, with a spread of magnitudes. */
static double random_double(void) {
    int exponent = (int)(next_random() % 40);
    return ldexp((double)(int64_t)next_random(), -63 - exponent);
}

static void integers(void) {
    for (int i = 0; i < 20; i++) {
        int64_t a = (int64_t)next_random(), b = (int64_t)(next_random() >> (i * 3)) | 1;
        __int128 product = (__int128)a * b;
        printf("%lld %lld %llx %llx %d %d %d\n", (long long)(a / b), (long long)(a % b), (unsigned long long)(product >> 64),
               (unsigned long long)product, __builtin_clzll(b), __builtin_ctzll(a), (int8_t)a * (int16_t)b);
    }
}

static void floats(void) {
    float f = 0;
    double d = 0;
    long double l = 0;
    for (int i = 1; i <= 1000; i++) {
        double x = random_double(), y = random_double();
        f += (float)x / (float)i;
        d += x * y - y / i;
        l += (long double)x / i;
        if (i % 100 == 0) {
            printf("%.9g %.17g %.21Lg %a %La\n", f, d, l, d, l);
            printf("%.17g %.21Lg %.17g %g\n", sqrt(fabs(x)), sqrtl(fabsl(x / 3)), fmod(x, y), (double)(float)(x * 1e-40));
            printf("%lld %d %.17g %.0f\n", llrint(x * 1e15), (int)(y * 1e9), (double)next_random(), x * 1000);
        }
    }
    printf("%.21Lg %.21Lg %.17g %.9g\n", LDBL_MAX, LDBL_MIN / 3, DBL_MIN / 7, FLT_MIN / 7);
    printf("%.17g %.21Lg %.9g\n", strtod("2.2250738585072011e-308", NULL), strtold("0.1", NULL), strtof("16777217", NULL));
}

static void rounding_modes(void) {
    static const int modes[] = {FE_TONEAREST, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO};
    volatile double one = 1, three = 3;
    volatile long double ten = 10;
    for (int i = 0; i < 4; i++) {
        fesetround(modes[i]);
        feclearexcept(FE_ALL_EXCEPT);
        volatile double third = -one / three;
        volatile long double tenth = one / ten;
        volatile long whole = lrint(three / 2);
        int exceptions = fetestexcept(FE_ALL_EXCEPT);
        fesetround(FE_TONEAREST);
        printf("%a %La %ld %x\n", third, tenth, whole, exceptions);
    }
}

static void vectors(void) {
    for (int i = 0; i < 20; i++) {
        __m128i a = _mm_set_epi64x(next_random(), next_random()), b = _mm_set_epi64x(next_random(), next_random());
        __m128i r = _mm_xor_si128(_mm_madd_epi16(a, b), _mm_packs_epi32(a, b));
        r = _mm_add_epi8(r, _mm_sad_epu8(a, b));
        r = _mm_xor_si128(r, _mm_unpacklo_epi8(_mm_subs_epi16(a, b), _mm_avg_epu8(a, b)));
        r = _mm_add_epi64(r, _mm_mul_epu32(_mm_shuffle_epi32(a, 0x1b), _mm_srai_epi16(b, i)));
        __m128 x = _mm_cvtepi32_ps(a), y = _mm_cvtepi32_ps(b);
        __m128 z = _mm_div_ps(_mm_add_ps(x, y), _mm_sqrt_ps(_mm_max_ps(x, _mm_set1_ps(2))));
        r = _mm_xor_si128(r, _mm_cvtps_epi32(z));
        __m128d w = _mm_mul_pd(_mm_cvtepi32_pd(a), _mm_cvtps_pd(y));
        uint64_t lanes[2];
        _mm_storeu_si128((__m128i *)lanes, r);
        printf("%016llx%016llx %02x %.17g\n", (unsigned long long)lanes[1], (unsigned long long)lanes[0],
               _mm_movemask_epi8(_mm_cmpgt_epi8(a, b)) & 0xff, _mm_cvtsd_f64(w));
    }
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void sorting(void) {
    static double values[5000];
    for (int i = 0; i < 5000; i++) values[i] = random_double();
    qsort(values, 5000, sizeof values[0], ascending);
    for (int i = 0; i < 5000; i += 500) printf("%.17g\n", values[i]);
}

int main(void) {
    integers();
    floats();
    rounding_modes();
    vectors();
    sorting();
    return 0;
}
