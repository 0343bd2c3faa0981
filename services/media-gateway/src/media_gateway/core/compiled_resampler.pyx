# cython: language_level=3, cdivision=True
"""The resampler of resampler.py without numpy in the path of a frame: the same taps and the same output.

Caches are cold when a frame arrives, so the amount of code and data determines the time. polyphase.h has the arithmetic,
and acs_frame.h decodes the messages with the frames of the caller.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int16_t, uint8_t
from libc.string cimport memset

from media_gateway.core.resampler import DELAY_MS, polyphase_of

cdef extern from "polyphase.h" nogil:
    enum: MOST_DOWN, MOST_PAST, MOST_KEPT
    ctypedef struct polyphase:
        const float *taps
        int up, down, past
    ctypedef struct history:
        int16_t samples[MOST_KEPT]
        int waiting
    ctypedef void feed_function(const polyphase *, history *, const int16_t *, size_t, int16_t *)
    feed_function *fastest_feed()

cdef extern from "acs_frame.h" nogil:
    enum: MOST_FRAME
    void make_base64_values()
    int acs_frame(const uint8_t *text, size_t size, const uint8_t *speaker, size_t speaker_size, uint8_t *pcm, size_t length)

make_base64_values()
cdef feed_function *_feed = fastest_feed()
cdef int16_t _SILENCE[MOST_KEPT]


def plain_frame(message, Py_ssize_t length, bytes speaker):
    """The `length` bytes of audio in an ACS message that is a plain frame; None for every other message."""
    pcm = PyBytes_FromStringAndSize(NULL, length)
    return pcm if _is_plain(message, speaker, <uint8_t *> PyBytes_AS_STRING(pcm), length) else None


cdef bint _is_plain(message, bytes speaker, uint8_t *pcm, Py_ssize_t length) except -1:
    cdef Py_buffer text  # a typed memoryview of Cython would need ten times as much code as this module
    cdef const uint8_t *name = NULL if speaker is None else <const uint8_t *> PyBytes_AS_STRING(speaker)
    cdef Py_ssize_t name_size = 0 if speaker is None else len(speaker)
    PyObject_GetBuffer(message, &text, PyBUF_SIMPLE)
    plain = acs_frame(<const uint8_t *> text.buf, text.len, name, name_size, pcm, length)
    PyBuffer_Release(&text)
    return plain


cdef class CompiledResampler:
    """One direction of a call. The output does not depend on the lengths of the input blocks."""

    cdef readonly double delay_ms
    cdef bytes _taps
    cdef polyphase _filter
    cdef history _history
    cdef int _tail_in
    cdef int _frame

    def __cinit__(self, int from_hz, int to_hz):
        shared = polyphase_of(from_hz, to_hz)
        self._taps = shared.taps  # owns the memory of `_filter.taps`
        self._filter = polyphase(<const float *> PyBytes_AS_STRING(self._taps), shared.up, shared.down, shared.past)
        cdef int widest = (self._filter.past + 1) * self._filter.down
        if self._filter.down > MOST_DOWN or self._filter.past > MOST_PAST or widest - 1 > MOST_KEPT:
            raise ValueError("the filter is too long for polyphase.h")
        self._tail_in = shared.tail_in
        self._frame = from_hz // 50
        if self._frame > MOST_FRAME:
            raise ValueError("the frame is too long for acs_frame.h")
        self.delay_ms = DELAY_MS
        self.reset()

    def reset(self):
        memset(&self._history, 0, sizeof(self._history))

    def feed(self, bytes pcm not None):
        cdef Py_ssize_t size = len(pcm)
        if size % sizeof(int16_t):
            raise ValueError("PCM ends within a sample")
        return self._fed(<const int16_t *> PyBytes_AS_STRING(pcm), size // sizeof(int16_t))

    def feed_message(self, message, bytes speaker=None):
        cdef int16_t pcm[MOST_FRAME]
        plain = _is_plain(message, speaker, <uint8_t *> pcm, self._frame * sizeof(int16_t))
        return self._fed(pcm, self._frame) if plain else None

    def flush(self):
        cdef int down = self._filter.down, waiting = self._history.waiting
        rest = self._fed(_SILENCE, (waiting + self._tail_in + down - 1) // down * down - waiting)
        self.reset()
        return rest

    cdef bytes _fed(self, const int16_t *samples, Py_ssize_t count):
        cdef Py_ssize_t periods = (self._history.waiting + count) // self._filter.down
        out = PyBytes_FromStringAndSize(NULL, periods * self._filter.up * sizeof(int16_t))
        _feed(&self._filter, &self._history, samples, count, <int16_t *> PyBytes_AS_STRING(out))
        return out
