"""The main job, played headless: messages and a call between two homes while the provider drops all UDP and every
host but the message server. The last line printed is one JSON object."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from lab import namespaces, speech
from lab.certificates import make_certificates
from lab.processes import CommandFailed, Running, ringthrough
from lab.rules import message_host_only
from lab.worlds.homes import Homes, homes
from ringthrough.audio.score import score
from ringthrough.client.audiofile import read_pcm

PORT = 443
CALL_S = 30.0
MESSAGES = ("Can you hear me when they block calls?", "The bridge is closed, take the ferry. Привет! مرحبا")


class Demo:
    """One world with a server and two people, each in a folder of `out`."""

    def __init__(self, world: Homes, out: Path, stack: ExitStack) -> None:
        self.world = world
        self.out = out
        self._stack = stack
        self.address = world.servers["server"]
        self.ca, self._pairs = make_certificates(out, [self.address])

    def command(self, host: str, *arguments: str) -> Running:
        """A `ringthrough` command of the person who lives at `host`."""
        home = ["--home", str(self.out / host), "--ca", str(self.ca), "--json"]
        line = self.world.inside(host, ringthrough(*home, *arguments))
        return self._stack.enter_context(Running(line, self.out / f"{host}.log"))

    def done(self, host: str, *arguments: str) -> str:
        """Run such a command to its end."""
        return self.command(host, *arguments).wait(60)

    def serve(self) -> None:
        """Start the server and wait until it listens."""
        certificate, key = self._pairs[self.address]
        arguments = ["serve", "--data", str(self.out / "server-data"), "--host", self.address, "--port", str(PORT)]
        tls = ["--tls-cert", str(certificate), "--tls-key", str(key), "--origin", f"https://{self.address}"]
        line = self.world.inside("server", ringthrough(*arguments, *tls))
        self._stack.enter_context(Running(line, self.out / "server.log")).line()

    def create_accounts(self, *people: str) -> None:
        """An account for each."""
        for person in people:
            self.done(person, "account", "create", person, "--server", f"https://{self.address}")


def exchange_messages(demo: Demo) -> list[str]:
    """Alice writes, Bob reads, Bob answers, Alice reads. Returns what was read."""
    follow = demo.command("bob", "read", "--follow")
    read = []
    for text in MESSAGES:
        demo.done("alice", "send", "@bob", text)
        read.append(json.loads(follow.line())["text"])
    follow.stop()
    demo.done("bob", "send", "@alice", "I hear you.")
    answers = [json.loads(line)["text"] for line in demo.done("alice", "read").splitlines()]
    if read != list(MESSAGES) or "I hear you." not in answers:
        raise CommandFailed(f"messages were lost: {read} {answers}")
    return read + answers


def place_call(demo: Demo, said: Path, replied: Path) -> dict[str, object]:
    """Alice calls Bob; both speak from files. Returns Bob's and Alice's reports."""
    heard_by_bob, heard_by_alice = demo.out / "heard-by-bob.wav", demo.out / "heard-by-alice.wav"
    bob = demo.command("bob", "answer", "--wait", "30", "--in", str(replied), "--out", str(heard_by_bob))
    bob.event("waiting")
    alice = demo.command("alice", "call", "@bob", "--in", str(said), "--out", str(heard_by_alice))
    alice.event("rings_there")
    call = {"alice": alice.event("ended"), "bob": bob.event("ended")}
    alice.wait(20)
    bob.wait(20)
    return {**call, "heard_by_bob": heard_by_bob, "heard_by_alice": heard_by_alice}


def play(out: Path, call_s: float = CALL_S) -> dict[str, object]:
    """Play it all; the fields of the last line."""
    out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        world = stack.enter_context(homes("alice", "bob"))
        demo = Demo(world, out, stack)
        message_host_only.apply(world, [(demo.address, PORT)])
        message_host_only.knock(world, "alice", demo.address)
        say("a server, Alice and Bob, each in a network of their own; all UDP and all other hosts are blocked")
        demo.serve()
        demo.create_accounts("alice", "bob")
        for text in exchange_messages(demo):
            say(f"delivered: {text}")
        said = speech.write_wav(out / "said-by-alice.wav", speech.speech(speech.ALICE_SAYS, call_s))
        replied = speech.write_wav(out / "said-by-bob.wav", speech.speech(speech.BOB_SAYS, call_s))
        say(f"Alice calls Bob and speaks for {call_s:.0f} s ...")
        call = place_call(demo, said, replied)
        blocked = message_host_only.dropped(world)
    return report(call, said, replied, blocked)


def report(call: dict[str, object], said: Path, replied: Path, blocked: dict[str, int]) -> dict[str, object]:
    """Score what each heard."""
    alice, bob = call["alice"], call["bob"]
    assert isinstance(alice, dict)
    assert isinstance(bob, dict)
    bob_score = score(read_pcm(said), read_pcm(Path(str(call["heard_by_bob"]))))
    alice_score = score(read_pcm(replied), read_pcm(Path(str(call["heard_by_alice"]))))
    say(f"Bob heard Alice: {asdict(bob_score)}")
    say(f"Alice heard Bob: {asdict(alice_score)}")
    return {
        "estoi": round(bob_score.estoi, 4),
        "pesq": round(bob_score.pesq, 3),
        "answer_to_audio_ms": round(bob["first_audio_ms"], 1),
        "carrier": bob["carrier"],
        "estoi_back": round(alice_score.estoi, 4),
        "pesq_back": round(alice_score.pesq, 3),
        "seconds": round(bob_score.seconds_compared, 1),
        "concealed": bob["concealed"],
        "late": bob["late"],
        "dropped_at_sender": alice["dropped_at_sender"],
        "udp_packets_blocked": blocked["udp_dropped"],
        "other_packets_blocked": blocked["other_dropped"],
        "heard": str(call["heard_by_bob"]),
    }


def say(text: str) -> None:
    """A progress line."""
    print(text, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `make demo`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("demo-out"), help="folder for state, logs and WAVs")
    args = parser.parse_args(argv)
    try:
        fields = play(args.out)
    except (namespaces.LabUnavailable, speech.SpeechMissing, CommandFailed) as e:
        print(f"demo: {e}", file=sys.stderr)
        return 1
    print(json.dumps(fields))
    return 0


if __name__ == "__main__":
    sys.exit(main())
