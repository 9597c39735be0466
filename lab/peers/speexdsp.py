"""The jitter buffer of libspeexdsp (RFC 5574's authors' library, BSD licence), which Mumble's client plays from."""

from __future__ import annotations

import ctypes
import functools

OK = 0
_SET_MARGIN = 0
_GET_AVAILABLE_COUNT = 3
_PACKET_BYTES_MAX = 4096


class SpeexDspMissing(Exception):
    """Install the package libspeexdsp1."""


class _Packet(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_char_p),
        ("length", ctypes.c_uint32),
        ("timestamp", ctypes.c_uint32),
        ("span", ctypes.c_uint32),
        ("sequence", ctypes.c_uint16),
        ("user_data", ctypes.c_uint32),
    )


@functools.cache
def _load() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libspeexdsp.so.1")
    except OSError as e:
        raise SpeexDspMissing("libspeexdsp.so.1 is missing: apt-get install libspeexdsp1") from e
    state, packet, number = ctypes.c_void_p, ctypes.POINTER(_Packet), ctypes.POINTER(ctypes.c_int32)
    for name, result, arguments in (
        ("init", state, [ctypes.c_int]),
        ("destroy", None, [state]),
        ("put", None, [state, packet]),
        ("get", ctypes.c_int, [state, packet, ctypes.c_int32, number]),
        ("get_pointer_timestamp", ctypes.c_int, [state]),
        ("tick", None, [state]),
        ("ctl", ctypes.c_int, [state, ctypes.c_int, ctypes.c_void_p]),
        ("update_delay", ctypes.c_int, [state, packet, number]),
    ):
        function = getattr(library, f"jitter_buffer_{name}")
        function.restype = result
        function.argtypes = arguments
    return library


class SpeexJitterBuffer:
    """Packets in by their time, packets out by the clock of the one who plays. Times are counted in samples."""

    def __init__(self, step: int, margin: int) -> None:
        """`step`: what one tick plays. `margin`: kept beyond what the measured lateness asks for."""
        self._step = step
        self._library = _load()
        self._state = self._library.jitter_buffer_init(step)
        self._library.jitter_buffer_ctl(self._state, _SET_MARGIN, ctypes.byref(ctypes.c_int32(margin)))

    def __del__(self) -> None:
        if getattr(self, "_state", None):
            self._library.jitter_buffer_destroy(self._state)
            self._state = None

    def put(self, data: bytes, timestamp: int, span: int) -> None:
        """A packet that arrived now; its sound is `span` long."""
        packet = _Packet(data, len(data), timestamp & 0xFFFFFFFF, span, 0, 0)
        self._library.jitter_buffer_put(self._state, ctypes.byref(packet))

    def get(self) -> bytes | None:
        """The packet that is due; None for one that is missing, whose lateness is learned from."""
        room = ctypes.create_string_buffer(_PACKET_BYTES_MAX)
        packet = _Packet(ctypes.cast(room, ctypes.c_char_p), _PACKET_BYTES_MAX, 0, 0, 0, 0)
        start = ctypes.c_int32(0)
        code = self._library.jitter_buffer_get(self._state, ctypes.byref(packet), self._step, ctypes.byref(start))
        if code == OK:
            return room.raw[: packet.length]
        self._library.jitter_buffer_update_delay(self._state, ctypes.byref(packet), None)
        return None

    def adapt(self) -> None:
        """Now is a good time to change the delay: nobody would hear it."""
        self._library.jitter_buffer_update_delay(self._state, None, None)

    def tick(self) -> None:
        """One step was played."""
        self._library.jitter_buffer_tick(self._state)

    @property
    def available(self) -> int:
        """Packets that wait."""
        count = ctypes.c_int32(0)
        self._library.jitter_buffer_ctl(self._state, _GET_AVAILABLE_COUNT, ctypes.byref(count))
        return count.value

    @property
    def timestamp(self) -> int:
        """Where playing is; 0 before the first packet came out."""
        return int(self._library.jitter_buffer_get_pointer_timestamp(self._state))
