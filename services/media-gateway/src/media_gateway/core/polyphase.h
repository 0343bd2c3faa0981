/* The arithmetic of compiled_resampler.pyx: plain C for GCC and Clang on any processor.

   A period is the shortest time with whole samples in both rates: `down` samples in, `up` samples out. Samples are
   stored in planes, one for each position in a period, so that neighboring periods are adjacent: a tap is multiplied
   with as many periods as the accumulators hold, without shuffling, and each output is summed in the same order
   wherever a block begins. All working memory is on the stack and small, because caches are cold when a frame
   arrives. */
#ifndef POLYPHASE_H
#define POLYPHASE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "PCM is little-endian: install with BRIDGE_COMPILE=no on this machine"
#endif

enum {
    MOST_DOWN = 3,
    MOST_PAST = 81,       /* periods */
    PERIODS = 160,        /* at once: a frame of 20 ms between 16 and 24 kHz */
    VECTORS = 10,         /* accumulators: they hide the latency of a multiply-add and fit into 16 registers */
    MOST_LANES = 8,       /* float32 in a vector */
    PLANE = MOST_PAST + PERIODS + VECTORS * MOST_LANES,
    MOST_KEPT = 164       /* samples: the past (54 at 16 kHz, 81 at 24, 162 at 48) and less than a period */
};

typedef struct {
    const float *taps;    /* [up][down][past + 1] */
    int up, down;
    int past;             /* past periods within the reach of the filter */
} polyphase;

typedef struct {
    int16_t samples[MOST_KEPT];  /* the past, then fewer samples than a period */
    int waiting;                 /* number of these samples */
} history;

typedef void feed_function(const polyphase *, history *, const int16_t *, size_t, int16_t *);

/* The nearest integer, halves to even, clipped. Adding 1.5 * 2^23 leaves no bits for a fraction, so the processor
   rounds, and the lowest bits of the sum are the integer. */
static inline __attribute__((always_inline)) int16_t pcm_of(float sum)
{
    int32_t bits;
    sum = sum > 32767.0f ? 32767.0f : sum;
    sum = sum < -32768.0f ? -32768.0f : sum;
    sum += 12582912.0f;
    memcpy(&bits, &sum, sizeof bits);
    return (int16_t)bits;
}

/* Vectors as long as a register: GCC keeps the accumulators of longer ones in memory. */
#define LANES 4
#define ON(name) name##_plain
#define ALLOWED
#include "polyphase_feed.h"

#if defined(__x86_64__)
#define LANES 8
#define ON(name) name##_avx2
#define ALLOWED __attribute__((target("avx2,fma")))
#include "polyphase_feed.h"
#endif

/* Detects the features of the processor at run time: an image runs on other machines than it was built on. */
static feed_function *fastest_feed(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return feed_avx2;
#endif
    return feed_plain;
}

#endif
