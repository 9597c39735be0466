"""Writes the TypeScript that the web client shares with Python: limits, error lists, the call table, the
constants of a call's lanes, the verdicts on its way.

Nothing is mirrored by hand: run `python tools/generate_web.py` after a change of the Python side and commit both.
tests/test_generated.py fails while a file is stale. With `--check`, only says which files are.
"""

from __future__ import annotations

import ast
import inspect
import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from ringthrough.audio import note, payload, pcm, profiles, report, toc  # noqa: E402
from ringthrough.client import conversation  # noqa: E402
from ringthrough.e2ee import direct, inbox, sframe  # noqa: E402
from ringthrough.e2ee.content import calls as content_calls  # noqa: E402
from ringthrough.e2ee.content import errors as content_errors  # noqa: E402
from ringthrough.e2ee.content import limits as content_limits  # noqa: E402
from ringthrough.e2ee.content import notes as content_notes  # noqa: E402
from ringthrough.protocol import (  # noqa: E402
    calls,
    carriers,
    directory,
    errors,
    lane_control,
    lane_plan,
    lanes,
    limits,
    notes,
    verdicts,
)

CORE = ROOT / "web" / "src" / "core"
SAFE_INTEGER_MAX = 2**53 - 1


def literal(value: object) -> str:
    """A JavaScript literal; integers that a number cannot hold become bigints."""
    match value:
        case bool() | str():
            return json.dumps(value, ensure_ascii=False)
        case int():
            return f"{value}n" if abs(value) > SAFE_INTEGER_MAX else f"{value:_}" if value >= 10_000 else str(value)
        case float():
            return repr(value).removesuffix(".0")
        case bytes():
            return json.dumps(value.decode("ascii"))
        case tuple():
            return f"[{', '.join(literal(item) for item in value)}] as const"
    raise TypeError(type(value))


def comment(text: str) -> str:
    """A documentation comment; Python's names in backquotes stay as they are, the constants keep theirs."""
    lines = inspect.cleandoc(text).splitlines()
    if len(lines) == 1:
        return f"/** {lines[0]} */\n"
    return "/**\n" + "".join(f" * {line}".rstrip() + "\n" for line in lines) + " */\n"


def header(module: ModuleType) -> str:
    """Where a file comes from."""
    where = module.__name__.replace(".", "/")
    return f"// Generated from src/{where}.py by tools/generate_web.py: change that file, not this one.\n"


def constants(module: ModuleType, skip: Iterable[str] = ()) -> str:
    """Every public constant of a module in its order, each with the string that documents it."""
    body = ast.parse(inspect.getsource(module)).body
    out = []
    for node, after in zip(body, [*body[1:], None], strict=True):
        match node:
            case ast.Assign(targets=[ast.Name(name)]) | ast.AnnAssign(target=ast.Name(name)):
                names = [name]
            case ast.Assign(targets=[ast.Tuple(elts)]):
                names = [target.id for target in elts if isinstance(target, ast.Name)]
            case _:
                continue
        found = [
            f"export const {name} = {literal(getattr(module, name))}\n"
            for name in names
            if name.isupper() and not name.startswith("_") and name not in skip
            if isinstance(getattr(module, name), int | float | str | bytes | tuple)
        ]
        match after:
            case ast.Expr(ast.Constant(str(doc))) if found:
                out.append(comment(doc))
        out += found
    return "".join(out)


def enum(kind: type[Enum]) -> str:
    """The enumeration as an object and a type of the same name."""
    members = "".join(f"  {member.name}: {literal(member.value)},\n" for member in kind)
    doc = comment(kind.__doc__ or "")
    name = kind.__name__
    value = f"export const {name} = {{\n{members}}} as const\n"
    return f"\n{doc}{value}export type {name} = (typeof {name})[keyof typeof {name}]\n"


def protocol_limits() -> str:
    """Limits of the wire, and the one function that belongs to them."""
    return (
        header(limits)
        + "\n"
        + constants(limits)
        + """
/** The wire size for a body of `length` bytes. A RangeError if it is larger than the largest wire size. */
export function paddedSize(length: number): number {
  const padded = PADDED_SIZES_BYTES.find((size) => length <= size)
  if (padded === undefined) throw new RangeError(`${length} bytes exceed the largest wire size, ${RECORD_BYTES_MAX}`)
  return padded
}
"""
    )


def protocol_errors() -> str:
    """The closed list of errors that cross the wire, and the exception that carries one."""
    doc = comment(errors.ProtocolError.__doc__ or "")
    return (
        header(errors)
        + enum(errors.ErrorCode)
        + f"""
{doc}export class ProtocolError extends Error {{
  override name = "ProtocolError"

  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly request = 0,
    readonly handle = 0,
  ) {{
    super(message)
  }}
}}
"""
    )


def call_table() -> str:
    """Everything about the call machine that is data."""
    kinds = (calls.State, calls.Kind, calls.HangupReason, calls.EndReason, calls.Input)
    rows = "".join(
        f"  [{', '.join(json.dumps(str(part)) for part in row[:4])}, {json.dumps(list(row.steps))}],\n"
        for row in calls.TRANSITIONS
    )
    out = [header(calls), "\n", constants(calls, skip=("TRANSITIONS",)), *map(enum, kinds)]
    for name, doc in (
        ("ENDED_WHILE_RINGING", "What a caller's hangup means to a device that rings."),
        ("ENDED_IN_CALL", "What the peer's hangup means to a device that talks."),
    ):
        pairs = "".join(f"  {reason}: {json.dumps(str(end))},\n" for reason, end in getattr(calls, name).items())
        body = f"export const {name} = {{\n{pairs}}} as const satisfies Record<HangupReason, EndReason>\n"
        out.append(f"\n{comment(doc)}{body}")
    doc = "In `state`, if `when` holds, `what` leads to `then` by `steps`. The first row that fits is taken."
    out.append(f"\n{comment(doc)}export const TRANSITIONS = [\n{rows}] as const\n")
    return "".join(out)


def lane_control_constants() -> str:
    """What a hop's controller goes by, the levels and what each means."""
    plans = "".join(
        f"  [Level.{level.name}]: {{ {', '.join(f'{name}: {value}' for name, value in asdict(plan).items())} }},\n"
        for level, plan in lane_control.PLANS.items()
    )
    doc = comment(lane_control.Plan.__doc__ or "")
    holds = "".join(f"  [Level.{level.name}]: {literal(ms)},\n" for level, ms in lane_control.HOLD_MS_MIN.items())
    return (
        module_constants(lane_control)()
        + enum(lane_control.Level)
        + f"\n{doc}export const PLANS = {{\n{plans}}} as const\n"
        + f"\n/** See HOLD_MS_MAX. */\nexport const HOLD_MS_MIN = {{\n{holds}}} as const\n"
    )


def verdict_table() -> str:
    """Everything about verdicts that is data."""
    words = "".join(
        f"  {verdict}: {{ matter: {literal(words.matter)}, remedy: {literal(words.remedy)} }},\n"
        for verdict, words in verdicts.WORDS.items()
    )
    by_direct = "".join(f"  {key}: {literal(value)},\n" for key, value in verdicts.DIRECT_VERDICTS.items())
    hides = "".join(
        f"  {key}: [{', '.join(literal(item) for item in items)}],\n" for key, items in verdicts.EXPLAINS.items()
    )
    doc = comment(verdicts.Words.__doc__ or "")
    return (
        module_constants(verdicts)()
        + enum(verdicts.Verdict)
        + enum(verdicts.Direct)
        + f"\n{doc}export const WORDS = {{\n{words}}} as const\n"
        + f"\nexport const DIRECT_VERDICTS: {{ readonly [D in Direct]?: Verdict }} = {{\n{by_direct}}}\n"
        + "\n/** What a verdict explains is not told beside it, nor after it. */\n"
        + f"export const EXPLAINS: {{ readonly [V in Verdict]?: readonly Verdict[] }} = {{\n{hides}}}\n"
    )


def carriers_constants() -> str:
    """The bounds of the carriers, with their two enumerations."""
    return header(carriers) + "\n" + constants(carriers) + enum(carriers.Way) + enum(carriers.Step)


def notes_constants() -> str:
    """What the rule of voice notes goes by."""
    return header(notes) + "\n" + constants(notes) + enum(notes.Mode)


def exporter_labels() -> str:
    """Labels and contexts that keep one use of a key apart from another."""
    pairs = {
        "TOKEN_LABEL": (
            conversation.TOKEN_LABEL,
            "MLS exporter label of a stream's capability; the context is empty.",
        ),
        "CALL_EXPORTER_LABEL": (
            sframe.CALL_EXPORTER_LABEL,
            "MLS exporter label of a call's base key; the context is the call id.",
        ),
        "INBOX_INFO": (inbox._INFO, "HPKE info of a sealed inbox record (RFC 9180 section 5.1)."),
        "DEVICE_LIST_CONTEXT": (directory.DEVICE_LIST_CONTEXT, "Comes before what an identity key signs."),
        "SIGN_IN_CONTEXT": (directory.SIGN_IN_CONTEXT, "Comes before what a device signs to sign in."),
    }
    lines = "".join(
        f"\n{comment(doc)}export const {name} = {literal(value)}\n" for name, (value, doc) in pairs.items()
    )
    return "// Generated by tools/generate_web.py from the Python modules that own them.\n" + lines


def call_bodies() -> str:
    """Names and numbers of the call bodies inside messages."""
    fields = asdict(content_calls.MediaParams()).items()
    media = "".join(f"  {camel(name)}: {literal(value)},\n" for name, value in fields)
    doc = comment("The one way to talk that this version offers.")
    return (
        header(content_calls)
        + f"\n{constants(content_calls)}\n{doc}export const MEDIA_DEFAULT = {{\n{media}}} as const\n"
    )


def camel(name: str) -> str:
    """A Python name as TypeScript writes it."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def content_reasons() -> str:
    """Why content is refused."""
    return (
        header(content_errors)
        + 'import { E2eeError } from "../errors.js"\n'
        + enum(content_errors.Reason)
        + """
/** Content that cannot be sent or must not be believed. `reason` is one of `Reason`. */
export class ContentError extends E2eeError {
  override name = "ContentError"

  constructor(
    override readonly reason: Reason,
    message: string,
  ) {
    super(`${reason}: ${message}`)
  }
}
"""
    )


def audio_profiles() -> str:
    """Numbers of what a media frame carries, and the ways a call is coded."""
    redundancies = tuple(each.name.lower() for each in report.Redundancy)
    distances = "".join(f"  {each.name.lower()}: {list(each.distances)},\n" for each in report.Redundancy)
    rows = ""
    for profile in profiles.PROFILES.values():
        fields = {camel(name): value for name, value in asdict(profile).items()}
        fields["redundancy"] = profile.redundancy.name.lower()
        fields["bandwidth"] = int(profile.bandwidth)
        rows += (
            f"  {profile.name}: {{ {', '.join(f'{name}: {literal(value)}' for name, value in fields.items())} }},\n"
        )
    return (
        "// Generated by tools/generate_web.py from src/ringthrough/audio: change that, not this.\n\n"
        + constants(pcm)
        + constants(toc)
        + constants(payload)
        + constants(report)
        + constants(note, skip=("ONSET_SLOTS", "HUSH_SLOTS"))
        + f"""
/** Which earlier packets the receiver wants repeated, by their numbers: more is a larger number. */
export const REDUNDANCIES = {literal(redundancies)}
export type Redundancy = (typeof REDUNDANCIES)[number]
type Distances = Readonly<Record<Redundancy, readonly number[]>>

{comment(report.Redundancy.distances.__doc__ or "")}export const DISTANCES: Distances = {{
{distances}}}

{comment(profiles.Profile.__doc__ or "")}export interface Profile {{
  readonly name: ProfileName
  readonly slots: number
  readonly bitrateBps: number
  readonly redundancy: Redundancy
  readonly packetBytesMax: number
  readonly bandwidth: number
}}

export type ProfileName = {" | ".join(json.dumps(name) for name in profiles.PROFILES)}

export const PROFILES: Readonly<Record<ProfileName, Profile>> = {{
{rows}}}
"""
    )


def module_constants(module: ModuleType, skip: Iterable[str] = ()) -> Callable[[], str]:
    """A file of nothing but constants."""
    return lambda: header(module) + "\n" + constants(module, skip)


FILES: dict[str, Callable[[], str]] = {
    "labels.ts": exporter_labels,
    "audio/profiles.ts": audio_profiles,
    "protocol/limits.ts": protocol_limits,
    "protocol/errors.ts": protocol_errors,
    "protocol/calls-table.ts": call_table,
    "protocol/lane-control-constants.ts": lane_control_constants,
    "protocol/lane-plan-constants.ts": module_constants(lane_plan),
    "protocol/lanes-constants.ts": module_constants(lanes),
    "protocol/verdicts-table.ts": verdict_table,
    "protocol/carriers-constants.ts": carriers_constants,
    "protocol/notes-constants.ts": notes_constants,
    "e2ee/sframe-constants.ts": module_constants(sframe, skip=("CALL_EXPORTER_LABEL",)),
    "e2ee/inbox-constants.ts": module_constants(inbox),
    "e2ee/direct-constants.ts": module_constants(direct),
    "e2ee/content/calls-constants.ts": call_bodies,
    "e2ee/content/notes-constants.ts": module_constants(content_notes),
    "e2ee/content/limits.ts": module_constants(content_limits),
    "e2ee/content/errors.ts": content_reasons,
}


def stale() -> list[str]:
    """Files that differ from what Python says, relative to web/src/core."""
    return [
        name for name, make in FILES.items() if not (CORE / name).is_file() or (CORE / name).read_text() != make()
    ]


def main() -> int:
    """Write what is stale, or with `--check` only name it and fail."""
    names = stale()
    for name in names:
        print(f"web/src/core/{name}")
        if "--check" not in sys.argv:
            (CORE / name).parent.mkdir(parents=True, exist_ok=True)
            (CORE / name).write_text(FILES[name]())
    return 1 if names and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
