/* The filter itself. polyphase.h includes it for each kind of processor: LANES floats per vector, ON(name) for the
   names, ALLOWED for the target attribute. */

#define BLOCK (LANES * VECTORS)

typedef float ON(lanes) __attribute__((vector_size(4 * LANES)));
typedef float ON(anywhere) __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

/* One output of each of BLOCK periods. `taps`: of this output; `planes`: begin at the past of the first period. */
ALLOWED static void ON(sum_block)(const polyphase *filter, const float *taps, const float *planes, int16_t *steps)
{
    ON(lanes) sums[VECTORS];
    float flat[BLOCK];
    for (int v = 0; v < VECTORS; v++)
        sums[v] = (ON(lanes)){0};
    for (int r = 0; r < filter->down; r++) {
        const float *samples = planes + r * PLANE;
        for (int q = 0; q <= filter->past; q++, samples++) {
            const float tap = *taps++;
            for (int v = 0; v < VECTORS; v++)
                sums[v] += tap * *(const ON(anywhere) *)(samples + v * LANES);
        }
    }
    memcpy(flat, sums, sizeof flat);
    for (int i = 0; i < BLOCK; i++)
        steps[i] = pcm_of(flat[i]);
}

/* `out` must have room for `up` samples of each period that is completed. */
ALLOWED static void
ON(feed)(const polyphase *filter, history *kept, const int16_t *pcm, size_t samples, int16_t *out)
{
    const int up = filter->up, down = filter->down, past = filter->past;
    int16_t line[MOST_KEPT + PERIODS * MOST_DOWN], steps[BLOCK];
    float planes[MOST_DOWN * PLANE];
    while (samples) {
        const size_t room = (size_t)(PERIODS * down - kept->waiting), taken = samples < room ? samples : room;
        const int held = past * down + kept->waiting, periods = (kept->waiting + (int)taken) / down;
        memcpy(line, kept->samples, held * sizeof *line);
        memcpy(line + held, pcm, taken * sizeof *line);
        for (int r = 0; r < down; r++) {
            float *plane = planes + r * PLANE;
            for (int i = 0; i < past + periods; i++)
                plane[i] = line[i * down + r];
            memset(plane + past + periods, 0, BLOCK * sizeof *plane);
        }
        for (int first = 0; first < periods; first += BLOCK) {
            const int count = periods - first < BLOCK ? periods - first : BLOCK;
            for (int phase = 0; phase < up; phase++) {
                ON(sum_block)(filter, filter->taps + phase * down * (past + 1), planes + first, steps);
                for (int i = 0; i < count; i++)
                    out[i * up + phase] = steps[i];
            }
            out += count * up;
        }
        kept->waiting += (int)taken - periods * down;
        memcpy(kept->samples, line + periods * down, (past * down + kept->waiting) * sizeof *line);
        pcm += taken;
        samples -= taken;
    }
}

#undef BLOCK
#undef LANES
#undef ON
#undef ALLOWED
