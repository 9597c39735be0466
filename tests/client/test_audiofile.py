"""Sound files in any format in, WAV out."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest

from ringthrough.client.audiofile import (
    SAMPLE_RATE_HZ,
    AudioFileBroken,
    AudioFileError,
    AudioFileMissing,
    AudioFileTooLong,
    AudioFileWriteError,
    Pcm,
    WavWriter,
    read_pcm,
)


def tone(seconds: float, rate: int = SAMPLE_RATE_HZ) -> Pcm:
    phase = np.arange(int(seconds * rate)) * 2 * np.pi * 440 / rate
    sound: Pcm = np.rint(np.sin(phase) * 10_000).astype(np.int16)
    return sound


def encode(path: Path, codec: str, rate: int, channels: int) -> None:
    sound = np.repeat(tone(1.0, rate), channels).reshape(1, -1)
    layout = "mono" if channels == 1 else "stereo"
    with av.open(str(path), "w") as container:
        stream = cast(av.AudioStream, container.add_stream(codec, rate=rate))
        stream.layout = layout
        resampler = av.AudioResampler(format=stream.format, layout=layout, rate=rate)
        frame = av.AudioFrame.from_ndarray(sound, format="s16", layout=layout)
        frame.sample_rate = rate
        fifo = av.AudioFifo()
        for converted in resampler.resample(frame):
            fifo.write(converted)
        size = stream.codec_context.frame_size or 320
        while (block := fifo.read(size, partial=True)) is not None:
            container.mux(stream.encode(block))
        container.mux(stream.encode(None))


def main_tone_hz(sound: Pcm) -> float:
    middle = sound[4000:12_000].astype(float) * np.hanning(8000)
    return float(np.argmax(np.abs(np.fft.rfft(middle)))) * SAMPLE_RATE_HZ / 8000


@pytest.mark.parametrize(
    ("name", "codec", "rate", "channels"),
    [
        ("a.wav", "pcm_s16le", 16_000, 1),
        ("b.wav", "pcm_s16le", 44_100, 2),
        ("c.flac", "flac", 48_000, 1),
        ("d.ogg", "libopus", 48_000, 1),
        ("e.mp3", "libmp3lame", 44_100, 2),
        ("f.g722", "g722", 16_000, 1),
    ],
)
def test_every_format_becomes_16_khz_mono(tmp_path: Path, name: str, codec: str, rate: int, channels: int) -> None:
    path = tmp_path / name
    encode(path, codec, rate, channels)
    sound = read_pcm(path)
    assert sound.dtype == np.int16
    assert sound.ndim == 1
    assert sound.size == pytest.approx(SAMPLE_RATE_HZ, rel=0.08)
    assert main_tone_hz(sound) == pytest.approx(440, abs=3)
    assert 8000 < np.abs(sound[4000:12_000].astype(int)).max() < 12_500


def test_wav_round_trip_is_exact(tmp_path: Path) -> None:
    sound = tone(0.7)
    with WavWriter(tmp_path / "out.wav") as writer:
        for block in np.array_split(sound, 7):
            writer.write(block)
        assert writer.seconds == pytest.approx(0.7)
    assert np.array_equal(read_pcm(tmp_path / "out.wav"), sound)


def test_flushed_file_is_valid_while_the_recording_runs(tmp_path: Path) -> None:
    path = tmp_path / "out.wav"
    writer = WavWriter(path)
    writer.write(tone(0.5))
    writer.flush()
    assert read_pcm(path).size == SAMPLE_RATE_HZ // 2
    writer.write(tone(0.25))
    writer.close()
    writer.close()
    with wave.open(str(path)) as reader:
        assert (reader.getnchannels(), reader.getsampwidth(), reader.getframerate()) == (1, 2, SAMPLE_RATE_HZ)
        assert reader.getnframes() == SAMPLE_RATE_HZ * 3 // 4


def test_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(AudioFileMissing, match="no such file"):
        read_pcm(tmp_path / "none.wav")
    with pytest.raises(AudioFileMissing):
        read_pcm(tmp_path)


@pytest.mark.parametrize("content", [b"", b"hello", b"RIFF\x24\x00\x00\x00WAVE", bytes(range(256)) * 40])
def test_broken_file_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.wav"
    path.write_bytes(content)
    with pytest.raises(AudioFileBroken):
        read_pcm(path)


def test_file_without_sound_is_broken(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    with av.open(str(path), "w", format="image2") as container:
        stream = container.add_stream("png", rate=1)
        stream.width = stream.height = 16
        stream.pix_fmt = "rgb24"
        picture = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), dtype=np.uint8), format="rgb24")
        container.mux(stream.encode(picture))
    with pytest.raises(AudioFileBroken):
        read_pcm(path)


def test_too_long_file_is_refused(tmp_path: Path) -> None:
    with WavWriter(tmp_path / "out.wav") as writer:
        writer.write(tone(2.0))
    with pytest.raises(AudioFileTooLong):
        read_pcm(tmp_path / "out.wav", duration_s_max=1.5)


def test_unwritable_place_is_told(tmp_path: Path) -> None:
    with pytest.raises(AudioFileWriteError):
        WavWriter(tmp_path / "no" / "folder.wav")


def test_write_after_close_or_of_other_samples_is_told(tmp_path: Path) -> None:
    writer = WavWriter(tmp_path / "out.wav")
    with pytest.raises(AudioFileWriteError):
        writer.write(np.zeros(4, dtype=np.float32))
    writer.close()
    with pytest.raises(AudioFileWriteError):
        writer.write(tone(0.1))


def test_errors_have_one_root() -> None:
    for kind in (AudioFileMissing, AudioFileBroken, AudioFileTooLong, AudioFileWriteError):
        assert issubclass(kind, AudioFileError)
