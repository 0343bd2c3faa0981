/* Decodes the most frequent message without a JSON parser: a frame of the caller as ACS writes it.

       {"kind":"AudioData","audioData":{"timestamp":"…","participantRawID":"…","data":"<base64>","silent":false}}

   The members of audioData may come in any order. A message that differs in any way (white space, other members, escapes
   in a string, repeated members, audio of another length) is not decoded here but by acs_media.py, which gives the
   same result for the messages that are. */
#ifndef ACS_FRAME_H
#define ACS_FRAME_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    MOST_FRAME = 960, /* samples: 20 ms at 48 kHz */
    BAD = 0x40        /* not a base64 digit */
};

static uint8_t base64_values[256];

static void make_base64_values(void)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    memset(base64_values, BAD, sizeof base64_values);
    for (int i = 0; i < 64; i++)
        base64_values[(uint8_t)digits[i]] = (uint8_t)i;
}

/* Decodes exactly `length` bytes from exactly as many digits as they need; 0 if that is not possible. */
static int base64_decoded(const uint8_t *digits, size_t count, uint8_t *out, size_t length)
{
    if (count != (length + 2) / 3 * 4)
        return 0;
    const size_t rest = length % 3;
    unsigned bad = 0;
    for (const uint8_t *end = out + (length - rest); out < end; out += 3, digits += 4) {
        const unsigned a = base64_values[digits[0]], b = base64_values[digits[1]];
        const unsigned c = base64_values[digits[2]], d = base64_values[digits[3]];
        const unsigned bits = a << 18 | b << 12 | c << 6 | d;
        bad |= a | b | c | d;
        out[0] = (uint8_t)(bits >> 16), out[1] = (uint8_t)(bits >> 8), out[2] = (uint8_t)bits;
    }
    if (rest) {
        const unsigned a = base64_values[digits[0]], b = base64_values[digits[1]];
        const unsigned c = rest == 2 ? base64_values[digits[2]] : 0;
        bad |= a | b | c;
        /* An encoder sets the bits beyond the last byte to zero. */
        if (digits[3] != '=' || (rest == 1 && digits[2] != '=') || (rest == 2 ? c & 3 : b & 15))
            return 0;
        out[0] = (uint8_t)(a << 2 | b >> 4);
        if (rest == 2)
            out[1] = (uint8_t)(b << 4 | c >> 2);
    }
    return !(bad & BAD);
}

#define FOLLOWS(text, end, word) \
    ((size_t)((end) - (text)) >= sizeof(word) - 1 && memcmp(text, word, sizeof(word) - 1) == 0)
#define SKIPPED(text, end, word) (FOLLOWS(text, end, word) ? ((text) += sizeof(word) - 1, 1) : 0)

/* The position after the string's closing quote, or NULL if the string has escapes or is not plain ASCII. */
static const uint8_t *string_end(const uint8_t *text, const uint8_t *end)
{
    for (; text < end && *text != '"'; text++)
        if (*text == '\\' || *text < 0x20 || *text >= 0x7f)
            return NULL;
    return text < end ? text + 1 : NULL;
}

/* Writes the `length` bytes of audio in such a message, zeros if it is silent. Returns 0 for any other message.
   `speaker`: the participant id that the message has to contain, empty for none; NULL: any. */
static int acs_frame(const uint8_t *text, size_t size, const uint8_t *speaker, size_t speaker_size, uint8_t *pcm,
                     size_t length)
{
    enum { DATA = 1, SILENT = 2, TIMESTAMP = 4, PARTICIPANT = 8 };
    const uint8_t *end = text + size, *data = NULL;
    const uint8_t *participant = NULL;
    size_t data_size = 0, participant_size = 0;
    int seen = 0, silent = 0;
    if (!SKIPPED(text, end, "{\"kind\":\"AudioData\",\"audioData\":{"))
        return 0;
    do {
        int member;
        if (SKIPPED(text, end, "\"data\":\"")) {
            member = DATA;
            data = text;
            text = memchr(data, '"', (size_t)(end - data));
            if (!text)
                return 0;
            data_size = (size_t)(text++ - data);
        } else if (SKIPPED(text, end, "\"silent\":")) {
            member = SILENT;
            if (SKIPPED(text, end, "true"))
                silent = 1;
            else if (!SKIPPED(text, end, "false"))
                return 0;
        } else {
            if (SKIPPED(text, end, "\"timestamp\":\""))
                member = TIMESTAMP;
            else if (SKIPPED(text, end, "\"participantRawID\":\""))
                member = PARTICIPANT, participant = text;
            else
                return 0;
            text = string_end(text, end);
            if (!text)
                return 0;
            if (member == PARTICIPANT)
                participant_size = (size_t)(text - 1 - participant);
        }
        if (seen & member)
            return 0;
        seen |= member;
    } while (SKIPPED(text, end, ","));
    if (speaker && (participant_size != speaker_size || (speaker_size && memcmp(participant, speaker, speaker_size))))
        return 0;
    if (!SKIPPED(text, end, "}}") || text != end || !data || !base64_decoded(data, data_size, pcm, length))
        return 0;
    if (silent)
        memset(pcm, 0, length);
    return 1;
}

#endif
