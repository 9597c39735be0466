"""Lines a recording up with its reference, so that a full-reference score measures sound and not delay.

A call adds a constant delay, and the jitter buffer may change it by a frame now and then. The reference is cut at
its quietest instants into segments of 2 to 3 s; each is looked up in the recording near where the one before was
found, and then phrase by phrase, since a player shortens its delay unheard in any pause; a change within a phrase
stays in the score. Every sample of the reference gets a counterpart, silence where the recording has none: sound
that is missing stays missing.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from .pcm import SAMPLE_RATE_HZ, FloatPcm

SEGMENT_S_MIN = 2.0
SEGMENT_S_MAX = 3.0
SEARCH_MS = 800
"""How far a segment may lie from the one before: the largest target of the jitter buffer, and some frames."""

FAR_SEARCH_MS = 8000
"""The same for a segment that is not found so near: some messengers play on after a stall of seconds."""

PHRASE_SEARCH_MS = 200
"""How far a phrase may lie from its segment: what a player cuts from the pauses of 3 s, and some frames."""

_WINDOW = SAMPLE_RATE_HZ // 50
_SILENT_RMS = 10 ** (-60 / 20)
_PAUSE_RMS = 10 ** (-50 / 20)
_PHRASE_MIN = SAMPLE_RATE_HZ // 4
_SURE_CORRELATION = 0.4
_MOVE_GAIN = 0.02


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of the reference, samples `start` to `stop`, heard `lag` samples later in the recording."""

    start: int
    stop: int
    lag: int
    silent: bool
    """Nothing is said in this piece of the reference."""


def cut_points(reference: FloatPcm) -> list[int]:
    """Return the bounds of the segments, from 0 to the length: each lies at the quietest 20 ms in reach."""
    shortest = int(SEGMENT_S_MIN * SAMPLE_RATE_HZ)
    longest = int(SEGMENT_S_MAX * SAMPLE_RATE_HZ)
    points = [0]
    while reference.size - points[-1] > longest + shortest // 2:
        reach = reference[points[-1] + shortest : points[-1] + longest]
        windows = reach[: reach.size - reach.size % _WINDOW].reshape(-1, _WINDOW)
        quietest = int(np.argmin(np.sum(np.square(windows), axis=1)))
        points.append(points[-1] + shortest + quietest * _WINDOW + _WINDOW // 2)
    points.append(int(reference.size))
    return points


def best_lag(reference: FloatPcm, heard: FloatPcm) -> int:
    """Return by how many samples `heard` lags `reference` overall: the peak of their cross-correlation."""
    size = 1 << int(reference.size + heard.size).bit_length()
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(reference, size))
    correlation = np.fft.irfft(spectrum, size)
    peak = int(np.argmax(correlation))
    return peak if peak < heard.size else peak - size


def take(heard: FloatPcm, start: int, stop: int) -> FloatPcm:
    """Return `heard[start:stop]`, with zeros wherever the recording has nothing (indices may be negative)."""
    taken = np.zeros(stop - start, dtype=np.float64)
    first, last = max(start, 0), min(stop, heard.size)
    if first < last:
        taken[first - start : last - start] = heard[first:last]
    return taken


def likeness(reference: FloatPcm, reach: FloatPcm) -> FloatPcm:
    """Return the correlation coefficient of `reference` with `reach` at every offset where it fits."""
    size = 1 << int(reference.size + reach.size).bit_length()
    spectrum = np.fft.rfft(reach, size) * np.conj(np.fft.rfft(reference, size))
    offsets = reach.size - reference.size + 1
    products = np.fft.irfft(spectrum, size)[:offsets]
    sums = np.concatenate([[0.0], np.cumsum(np.square(reach))])
    energy = np.maximum(sums[reference.size :] - sums[: -reference.size], 1e-9)
    result: FloatPcm = products / np.sqrt(energy * max(float(np.sum(np.square(reference))), 1e-9))
    return result


def align(reference: FloatPcm, heard: FloatPcm) -> list[Segment]:
    """Return the segments of `reference`, in order and without gaps, each with its lag in `heard`.

    A segment moves only on clear evidence; one that is silent, or not recognised, stays where the last one was.
    """
    lag = best_lag(reference, heard)
    search = SAMPLE_RATE_HZ * SEARCH_MS // 1000
    segments: list[Segment] = []
    points = cut_points(reference)
    for start, stop in itertools.pairwise(points):
        piece = reference[start:stop]
        silent = float(np.sqrt(np.mean(np.square(piece)))) < _SILENT_RMS if piece.size else True
        if not silent:
            lag += _move(piece, heard, start + lag, search)
        segments.append(Segment(start, stop, lag, silent))
    return segments


def counterpart(reference: FloatPcm, heard: FloatPcm, segments: list[Segment]) -> FloatPcm:
    """Return what was heard for each sample of `reference`: of each phrase of the `segments` where it was heard."""
    reach = SAMPLE_RATE_HZ * PHRASE_SEARCH_MS // 1000
    pieces = []
    for segment in segments:
        for start, stop in _phrases(reference, segment):
            expected = start + segment.lag
            at = (
                expected
                if segment.silent
                else expected + (_nearby(reference[start:stop], heard, expected, reach) or 0)
            )
            pieces.append(take(heard, at, at + stop - start))
    return np.concatenate(pieces)


def _phrases(reference: FloatPcm, segment: Segment) -> list[tuple[int, int]]:
    """The segment, cut in the middle of its pauses."""
    windows = (segment.stop - segment.start) // _WINDOW
    piece = reference[segment.start : segment.start + windows * _WINDOW].reshape(windows, _WINDOW)
    quiet = np.mean(np.square(piece), axis=1) < _PAUSE_RMS**2
    edges = np.flatnonzero(np.diff(np.concatenate([[False], quiet, [False]])))
    bounds = [segment.start]
    for first, last in edges.reshape(-1, 2):
        middle = segment.start + int(first + last) * _WINDOW // 2
        if min(middle - bounds[-1], segment.stop - middle) >= _PHRASE_MIN:
            bounds.append(middle)
    return [*itertools.pairwise([*bounds, segment.stop])]


def _move(piece: FloatPcm, heard: FloatPcm, expected: int, search: int) -> int:
    """How many samples the piece lies behind where it is expected; only if it is not found near, it is sought far."""
    near = _nearby(piece, heard, expected, search)
    return near if near is not None else _nearby(piece, heard, expected, SAMPLE_RATE_HZ * FAR_SEARCH_MS // 1000) or 0


def _nearby(piece: FloatPcm, heard: FloatPcm, expected: int, reach: int) -> int | None:
    """The same within `reach` samples; None where the piece is not recognised."""
    alike = likeness(piece, take(heard, expected - reach, expected + piece.size + reach))
    peak = int(np.argmax(alike))
    if alike[reach] > _SURE_CORRELATION and alike[peak] <= alike[reach] + _MOVE_GAIN:
        return 0
    return peak - reach if alike[peak] > _SURE_CORRELATION else None
