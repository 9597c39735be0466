/** Which microphone and which loudspeaker a call should use now, from those that are there. */

type Device = Pick<MediaDeviceInfo, "kind" | "deviceId" | "groupId" | "label">
type Kind = Extract<MediaDeviceKind, "audioinput" | "audiooutput">

/** The chosen device while it is there, else null: the system's choice. A headset that comes back is taken again. */
export function present(devices: readonly Device[], kind: Kind, wanted: string | null): string | null {
  return devices.some((device) => device.kind === kind && device.deviceId === wanted) ? wanted : null
}

/**
 * Names the device that is to be used now. The system's choice goes by the device behind it: with a headset, that becomes
 * another. Empty where the browser does not tell (before the microphone was allowed).
 */
export function identity(devices: readonly Device[], kind: Kind, wanted: string | null): string {
  const some = devices.filter((device) => device.kind === kind)
  const used = present(devices, kind, wanted)
  const found = used === null ? (some.find(({ deviceId }) => deviceId === "default") ?? some[0]) : some.find(({ deviceId }) => deviceId === used)
  return found === undefined || found.deviceId === "" ? "" : `${found.groupId} ${found.label}`
}
