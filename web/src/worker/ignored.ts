// What a person is told of the packets of a call of which nothing was played.

/**
 * How many were damaged, repeated, forged or of a key that we do not have. Once frames went directly too, each comes
 * by both ways while the two are compared: a second copy is no sign of anything then, and none is counted.
 */
export function ignoredPackets(refusals: ReadonlyMap<string, number>, framesDirect: number): number {
  let count = 0
  for (const [reason, times] of refusals) if (reason !== "replayed" || framesDirect === 0) count += times
  return count
}
