"""`ringthrough call` and `answer`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from ringthrough.client.audiofile import WavWriter, read_pcm
from ringthrough.client.calls import Call
from ringthrough.client.client import Client, online
from ringthrough.client.devices import Loudspeaker, Microphone
from ringthrough.client.media import AudioSink, AudioSource, PcmSource
from ringthrough.protocol.calls import EndReason
from ringthrough.protocol.notes import Mode
from ringthrough.protocol.verdicts import WORDS, Verdict

from .common import emit, open_client
from .messages import target

REASONS = {
    EndReason.HUNG_UP: "you hung up",
    EndReason.REMOTE_HUNG_UP: "the other side hung up",
    EndReason.DECLINED: "declined",
    EndReason.BUSY: "busy",
    EndReason.MISSED: "missed",
    EndReason.UNANSWERED: "nobody answered; try a message",
    EndReason.ANSWERED_ELSEWHERE: "answered on another device",
    EndReason.NO_AUDIO: "no sound came through for 20 s",
    EndReason.FAILED: "failed",
    EndReason.EXPIRED_OFFER: "missed while you were away",
}
MODES = {
    Mode.NOTES: "too much is lost here for talking at once: what you say goes as voice notes of up to 3 s, and they"
    " arrive whole",
    Mode.INTERACTIVE: "talking works again",
}
CARRIER, DIRECT = "message connection", "direct channel"
HANG_UP_WAIT_S = 5.0


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the commands."""
    call = commands.add_parser("call", help="call somebody")
    call.add_argument("to", help="@handle, @handle@host, or the title of a group")
    call.add_argument(
        "--direct",
        action="store_true",
        help="let them see your address, and talk directly where UDP passes (two people)",
    )
    call.set_defaults(run=_call)
    answer = commands.add_parser("answer", help="wait for a call and take it")
    answer.add_argument("--decline", action="store_true", help="decline it instead")
    answer.add_argument("--direct-with", metavar="@HANDLE", help="the same as call --direct, when they call")
    answer.add_argument("--wait", type=float, default=None, metavar="SECONDS", help="give up after this long")
    answer.set_defaults(run=_answer)
    for parser in (call, answer):
        parser.add_argument(
            "--in", dest="speak", type=Path, metavar="FILE", help="say this instead of the microphone"
        )
        parser.add_argument("--out", dest="hear", type=Path, metavar="FILE", help="write what is heard to this WAV")
        parser.add_argument("--seconds", type=float, default=None, help="hang up after this long")


@contextlib.asynccontextmanager
async def _devices(args: argparse.Namespace) -> AsyncIterator[tuple[AudioSource, AudioSink]]:
    async with contextlib.AsyncExitStack() as stack:
        source: AudioSource
        sink: AudioSink
        if args.speak is not None:
            source = PcmSource(await asyncio.to_thread(read_pcm, args.speak))
        else:
            source = await stack.enter_async_context(Microphone())
        if args.hear is not None:
            sink = stack.enter_context(WavWriter(args.hear))
        else:
            sink = await stack.enter_async_context(Loudspeaker())
        yield source, sink


async def _call(args: argparse.Namespace) -> int:
    async with open_client(args) as client, _devices(args) as (source, sink):
        await online(client)
        conversation = await target(client, args.to)
        call = client.calls.place(conversation, source, sink, shows_address=args.direct)
        emit(args, f"calling {args.to} ...", event="calling", call=call.call_id.hex())
        return await _talk(args, client, call, source)


async def _answer(args: argparse.Namespace) -> int:
    async with open_client(args) as client, _devices(args) as (source, sink):
        ringing: asyncio.Future[Call] = asyncio.get_running_loop().create_future()
        client.calls.ring = lambda call: None if ringing.done() else ringing.set_result(call)
        client.calls.missed = lambda call: _tell_missed(args, client, call)
        emit(args, "waiting for a call ...", event="waiting")
        try:
            async with asyncio.timeout(args.wait):
                call = await ringing
        except TimeoutError:
            emit(args, "nobody called", event="nobody")
            return 1
        caller = client.name_of(call.caller.account_id) if call.caller else "somebody"
        emit(args, f"{caller} is calling", event="ringing", caller=caller, call=call.call_id.hex())
        if args.decline:
            call.decline()
            await client.calls.settled()
            emit(args, "declined", event="ended", reason=(await call.ended).value)
            return 0
        if call.ended.done():
            emit(args, "too late: the caller has given up", event="ended", reason=call.ended.result().value)
            return 1
        call.shows_address = caller == args.direct_with
        call.answer(source, sink)
        return await _talk(args, client, call, source)


def _tell_missed(args: argparse.Namespace, client: Client, call: Call) -> None:
    caller = client.name_of(call.caller.account_id) if call.caller else "somebody"
    emit(args, f"missed a call from {caller}", event="missed", caller=caller, call=call.call_id.hex())


def _tell_way(args: argparse.Namespace, carries: bool) -> None:
    words = "now directly between the two devices" if carries else f"now over the {CARRIER}"
    emit(args, words, event="way", carrier=DIRECT if carries else CARRIER)


def _tell_refused(args: argparse.Namespace) -> None:
    emit(args, f"the other side does not connect directly: the call stays on the {CARRIER}", event="way_refused")


def _tell_verdicts(args: argparse.Namespace, verdicts: tuple[Verdict, ...]) -> None:
    if not verdicts:
        return
    known = [WORDS[verdict] for verdict in verdicts]
    is_clear = Verdict.CLEAR in verdicts
    words = " ".join(found.matter if is_clear else f"{found.matter} {found.remedy}" for found in known)
    emit(args, words, event="verdicts", verdicts=[verdict.value for verdict in verdicts])


async def _talk(args: argparse.Namespace, client: Client, call: Call, source: AudioSource) -> int:
    notes = asyncio.create_task(_announce(args, call, source))
    try:
        reason = await asyncio.shield(call.ended)
    except asyncio.CancelledError:
        call.hang_up()
        raise
    finally:
        notes.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HANG_UP_WAIT_S):
                await client.calls.settled()
    stats = call.stats
    sent_directly = 0 if call.media is None else call.media.direct.frames
    emit(
        args,
        f"call over: {REASONS[reason]} ({stats.played_s:.1f} s heard, {stats.concealed_ms} ms concealed)",
        event="ended",
        reason=reason.value,
        carrier=DIRECT if 2 * sent_directly > stats.sent else CARRIER,
        sent_directly=sent_directly,
        first_audio_ms=stats.first_audio_ms,
        sent=stats.sent,
        dropped_at_sender=stats.dropped_at_sender,
        received=stats.received,
        refused=stats.refused,
        played=stats.played,
        concealed=stats.concealed,
        late=stats.late,
        lost_share=stats.lost_share,
        longest_concealed_ms=stats.longest_concealed_ms,
        playout_delay_ms=stats.playout_delay_ms,
    )
    return 0 if call.answered.is_set() else 1


async def _announce(args: argparse.Namespace, call: Call, source: AudioSource) -> None:
    """Say what happens, and hang up when the file has been said or the time is over."""
    if not call.incoming:
        first = asyncio.create_task(call.rings_there.wait())
        await asyncio.wait({first, asyncio.create_task(call.answered.wait())}, return_when=asyncio.FIRST_COMPLETED)
        if call.rings_there.is_set():
            emit(args, "it rings there", event="rings_there")
    await call.answered.wait()
    call.on_mode = lambda mode: emit(args, MODES[mode], event=mode.name.lower())
    call.on_way = lambda carries: _tell_way(args, carries)
    call.on_refused = lambda: _tell_refused(args)
    call.on_verdicts = lambda verdicts: _tell_verdicts(args, verdicts)
    emit(args, f"in call, over the {CARRIER}; Ctrl-C hangs up", event="in_call", carrier=CARRIER)
    if args.seconds is not None:
        await asyncio.sleep(args.seconds)
    elif isinstance(source, PcmSource) and not call.incoming:
        await source.finished.wait()
        await asyncio.sleep(1.0)  # what was said last is still on its way
    else:
        return
    call.hang_up()
