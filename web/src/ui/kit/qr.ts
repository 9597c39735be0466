/** QR codes (ISO/IEC 18004) of links and safety numbers: drawn here, read by the camera's dialog. */

import encodeQR from "qr"

/** Rows of modules, true is dark; the quiet zone of four included. */
export function qrModules(content: string): readonly (readonly boolean[])[] {
  return encodeQR(content, "raw", { ecc: "medium", border: 4 })
}

/** The dark modules as one SVG path in units of a module. */
export function qrPath(modules: readonly (readonly boolean[])[]): string {
  return modules.flatMap((row, y) => row.flatMap((dark, x) => (dark ? [`M${x} ${y}h1v1h-1z`] : []))).join("")
}

export interface Detector {
  detect(source: HTMLVideoElement): Promise<readonly { readonly rawValue: string }[]>
}

interface DetectorKind {
  new (options: { formats: ["qr_code"] }): Detector
  getSupportedFormats(): Promise<readonly string[]>
}

/** The browser's own reader of codes, or one of ours that is loaded only where it has none: most have none. */
export async function qrDetector(): Promise<Detector> {
  const native = (globalThis as { BarcodeDetector?: DetectorKind }).BarcodeDetector
  const isReady = native !== undefined && (await native.getSupportedFormats()).includes("qr_code")
  const Kind = isReady ? native : (await import("qr/decode.js")).BarcodeDetector
  return new Kind({ formats: ["qr_code"] })
}
