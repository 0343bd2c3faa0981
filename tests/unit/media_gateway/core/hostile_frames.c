/* Runs the gateway's C under the compiler's sanitizers, on damaged messages and blocks of any length: every buffer is
   exactly as long as it has to be, so that one byte read or written beside it ends the program.

   Prints how many messages were taken and how many left. Arguments: a plain message, rounds, seed. */
#include <stdio.h>
#include <stdlib.h>

#include "acs_frame.h"
#include "polyphase.h"

static uint64_t state;

static unsigned below(unsigned limit)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(state >> 33) % limit;
}

static void *exactly(const void *from, size_t size)
{
    void *copy = malloc(size ? size : 1);
    if (!copy)
        abort();
    if (from)
        memcpy(copy, from, size);
    return copy;
}

static int taken(const uint8_t *message, size_t size, size_t length)
{
    static const char *const speakers[] = {"4:+14255550100", "4:+1425555010", "", NULL};
    const char *speaker = speakers[below(4)];
    const size_t speaker_size = speaker ? strlen(speaker) : 0;
    uint8_t *text = exactly(message, size), *pcm = exactly(NULL, length);
    uint8_t *name = speaker ? exactly(speaker, speaker_size) : NULL;
    const int plain = acs_frame(size ? text : text + 1, size, name, speaker_size, pcm, length);
    free(text);
    free(name);
    free(pcm);
    return plain;
}

/* Cut off, or with bytes changed, taken out or doubled. */
static size_t damage(uint8_t *message, size_t size)
{
    static const char likely[] = "\"\\{},:=+/Az\0\x7f\xff";
    if (!below(4))
        return below((unsigned)size + 1);
    for (unsigned times = 1 + below(3); times; times--) {
        const size_t at = below((unsigned)size);
        switch (below(3)) {
        case 0:
            message[at] = below(2) ? (uint8_t)likely[below(sizeof likely - 1)] : (uint8_t)below(256);
            break;
        case 1:
            memmove(message + at, message + at + 1, --size - at);
            break;
        default:
            memmove(message + at + 1, message + at, size - at);
            size++;
        }
    }
    return size;
}

static void resample(feed_function *feed, int up, int down, int past)
{
    const size_t count = (size_t)up * down * (past + 1);
    float *taps = exactly(NULL, count * sizeof *taps);
    for (size_t i = 0; i < count; i++)
        taps[i] = (float)below(2000) / 1000 - 1;
    const polyphase filter = {taps, up, down, past};
    history kept = {{0}, 0};
    for (int block = 0; block < 40; block++) {
        const size_t samples = below(3) ? below(700) : below(4);
        int16_t *pcm = exactly(NULL, samples * sizeof *pcm);
        for (size_t i = 0; i < samples; i++)
            pcm[i] = (int16_t)(below(65536) - 32768);
        int16_t *out = exactly(NULL, (kept.waiting + samples) / down * up * sizeof *out);
        feed(&filter, &kept, pcm, samples, out);
        free(pcm);
        free(out);
    }
    free(taps);
}

int main(int count, char **words)
{
    static const size_t lengths[] = {640, 960, 1920};
    static const int filters[][3] = {{3, 2, 27}, {2, 3, 27}, {1, 2, 81}, {2, 1, 81}, {1, 3, 54}, {3, 1, 54}};
    if (count != 4)
        return 2;
    const size_t size = strlen(words[1]);
    const int rounds = atoi(words[2]);
    int plain = 0;
    state = strtoull(words[3], NULL, 10);
    make_base64_values();
    for (int round = 0; round < rounds; round++) {
        uint8_t *message = exactly(NULL, size + 8);
        memcpy(message, words[1], size);
        plain += taken(message, round ? damage(message, size) : size, lengths[below(8) ? 0 : below(3)]);
        free(message);
    }
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        resample(feed_plain, filters[i][0], filters[i][1], filters[i][2]);
        resample(fastest_feed(), filters[i][0], filters[i][1], filters[i][2]);
    }
    printf("%d taken, %d left\n", plain, rounds - plain);
    return 0;
}
