/** QR codes (ISO/IEC 18004), byte mode, error correction M, versions 1 to 10: enough for a link or sixty digits. */

/** Error correction M: code words of correction for each block, and blocks as [count, data words]. */
const VERSIONS: readonly { ec: number; blocks: readonly (readonly [number, number])[]; align: readonly number[] }[] = [
  { ec: 10, blocks: [[1, 16]], align: [] },
  { ec: 16, blocks: [[1, 28]], align: [6, 18] },
  { ec: 26, blocks: [[1, 44]], align: [6, 22] },
  { ec: 18, blocks: [[2, 32]], align: [6, 26] },
  { ec: 24, blocks: [[2, 43]], align: [6, 30] },
  { ec: 16, blocks: [[4, 27]], align: [6, 34] },
  { ec: 18, blocks: [[4, 31]], align: [6, 22, 38] },
  { ec: 22, blocks: [[2, 38], [2, 39]], align: [6, 24, 42] },
  { ec: 22, blocks: [[3, 36], [2, 37]], align: [6, 26, 46] },
  { ec: 26, blocks: [[4, 43], [1, 44]], align: [6, 28, 50] },
]

const EXP = new Uint8Array(512)
const LOG = new Uint8Array(256)
for (let power = 0, value = 1; power < 255; power++) {
  EXP[power] = EXP[power + 255] = value
  LOG[value] = power
  value = value < 128 ? value * 2 : (value * 2) ^ 0x11d
}

function times(a: number, b: number): number {
  return a === 0 || b === 0 ? 0 : EXP[LOG[a]! + LOG[b]!]!
}

/** Reed-Solomon remainder of `data` with `count` words of correction. */
function correction(data: readonly number[], count: number): number[] {
  const generator = [1]
  for (let power = 0; power < count; power++) {
    generator.push(0)
    for (let index = generator.length - 1; index > 0; index--) {
      generator[index] = generator[index - 1]! ^ times(generator[index]!, EXP[power]!)
    }
    generator[0] = times(generator[0]!, EXP[power]!)
  }
  generator.reverse()
  const rest = [...data, ...new Array<number>(count).fill(0)]
  for (let index = 0; index < data.length; index++) {
    const factor = rest[index]!
    for (let offset = 0; offset < generator.length; offset++) rest[index + offset]! ^= times(generator[offset]!, factor)
  }
  return rest.slice(data.length)
}

function codeWords(bytes: Uint8Array, version: number): number[] {
  const { ec, blocks } = VERSIONS[version - 1]!
  const capacity = blocks.reduce((sum, [count, words]) => sum + count * words, 0)
  const bits: number[] = []
  const push = (value: number, length: number): void => {
    for (let bit = length - 1; bit >= 0; bit--) bits.push((value >> bit) & 1)
  }
  push(4, 4)
  push(bytes.length, version < 10 ? 8 : 16)
  for (const byte of bytes) push(byte, 8)
  push(0, Math.min(4, capacity * 8 - bits.length))
  push(0, (8 - (bits.length % 8)) % 8)
  const words: number[] = []
  for (let index = 0; index < bits.length; index += 8) words.push(bits.slice(index, index + 8).reduce((sum, bit) => sum * 2 + bit, 0))
  for (let filler = 0xec; words.length < capacity; filler ^= 0xec ^ 0x11) words.push(filler)

  const data: number[][] = []
  for (const [count, length] of blocks) {
    for (let index = 0; index < count; index++) data.push(words.splice(0, length))
  }
  const checks = data.map((block) => correction(block, ec))
  const result: number[] = []
  for (const rows of [data, checks]) {
    for (let column = 0; column < Math.max(...rows.map((row) => row.length)); column++) {
      for (const row of rows) if (column < row.length) result.push(row[column]!)
    }
  }
  return result
}

const MASKS: readonly ((row: number, column: number) => boolean)[] = [
  (r, c) => (r + c) % 2 === 0,
  (r) => r % 2 === 0,
  (_, c) => c % 3 === 0,
  (r, c) => (r + c) % 3 === 0,
  (r, c) => (Math.floor(r / 2) + Math.floor(c / 3)) % 2 === 0,
  (r, c) => ((r * c) % 2) + ((r * c) % 3) === 0,
  (r, c) => (((r * c) % 2) + ((r * c) % 3)) % 2 === 0,
  (r, c) => (((r + c) % 2) + ((r * c) % 3)) % 2 === 0,
]

class Grid {
  readonly size: number
  readonly dark: boolean[][]
  readonly fixed: boolean[][]

  constructor(version: number) {
    this.size = version * 4 + 17
    this.dark = Array.from({ length: this.size }, () => new Array<boolean>(this.size).fill(false))
    this.fixed = this.dark.map((row) => row.slice())
    for (let index = 0; index < this.size; index++) {
      this.set(6, index, index % 2 === 0)
      this.set(index, 6, index % 2 === 0)
    }
    for (const [row, column] of [[3, 3], [3, this.size - 4], [this.size - 4, 3]] as const) this.#square(row, column, 4, [2, 4])
    const { align } = VERSIONS[version - 1]!
    for (const row of align) {
      for (const column of align) {
        const corner = (row === 6 && column === 6) || (row === 6 && column === align.at(-1)) || (row === align.at(-1) && column === 6)
        if (!corner) this.#square(row, column, 2, [1])
      }
    }
    this.format(0)
    if (version >= 7) this.#version(version)
  }

  set(row: number, column: number, dark: boolean): void {
    this.dark[row]![column] = dark
    this.fixed[row]![column] = true
  }

  #square(row: number, column: number, reach: number, light: readonly number[]): void {
    for (let dy = -reach; dy <= reach; dy++) {
      for (let dx = -reach; dx <= reach; dx++) {
        const [y, x] = [row + dy, column + dx]
        if (y < 0 || x < 0 || y >= this.size || x >= this.size) continue
        this.set(y, x, !light.includes(Math.max(Math.abs(dx), Math.abs(dy))))
      }
    }
  }

  /** Level M and the mask, BCH-coded, twice; and the module that is always dark. */
  format(mask: number): void {
    let rest = mask
    for (let index = 0; index < 10; index++) rest = (rest << 1) ^ ((rest >> 9) * 0x537)
    const bits = ((mask << 10) | rest) ^ 0x5412
    const bit = (index: number): boolean => ((bits >> index) & 1) === 1
    const end = this.size - 1
    for (let index = 0; index < 15; index++) {
      this.set(index < 6 ? index : index < 8 ? index + 1 : end - 14 + index, 8, bit(index))
      this.set(8, index < 8 ? end - index : index === 8 ? 7 : 14 - index, bit(index))
    }
    this.set(end - 7, 8, true)
  }

  #version(version: number): void {
    let rest = version
    for (let index = 0; index < 12; index++) rest = (rest << 1) ^ ((rest >> 11) * 0x1f25)
    const bits = (version << 12) | rest
    for (let index = 0; index < 18; index++) {
      const dark = ((bits >> index) & 1) === 1
      const [far, near] = [this.size - 11 + (index % 3), Math.floor(index / 3)]
      this.set(near, far, dark)
      this.set(far, near, dark)
    }
  }

  fill(words: readonly number[]): void {
    let bit = 0
    for (let right = this.size - 1; right > 0; right -= 2) {
      if (right === 6) right--
      const upwards = ((right + 1) & 2) === 0
      for (let step = 0; step < this.size; step++) {
        const row = upwards ? this.size - 1 - step : step
        for (const column of [right, right - 1]) {
          if (this.fixed[row]![column]) continue
          this.dark[row]![column] = (((words[bit >> 3] ?? 0) >> (7 - (bit & 7))) & 1) === 1
          bit++
        }
      }
    }
  }

  mask(index: number): void {
    this.dark.forEach((cells, row) => cells.forEach((dark, column) => {
      if (!this.fixed[row]![column]) cells[column] = dark !== MASKS[index]!(row, column)
    }))
    this.format(index)
  }

  penalty(): number {
    const columns = this.dark.map((_, index) => this.dark.map((row) => row[index]!))
    let sum = 0
    for (const line of [...this.dark, ...columns]) {
      const cells = line.map((dark) => (dark ? "1" : "0")).join("")
      for (const run of cells.match(/1{5,}|0{5,}/g) ?? []) sum += run.length - 2
      for (let at = 0; at + 11 <= cells.length; at++) {
        const part = cells.slice(at, at + 11)
        if (part === "10111010000" || part === "00001011101") sum += 40
      }
    }
    let darkCount = 0
    for (let row = 0; row < this.size; row++) {
      for (let column = 0; column < this.size; column++) {
        const dark = this.dark[row]![column]
        if (dark) darkCount++
        if (row === 0 || column === 0) continue
        const above = this.dark[row - 1]!
        if (dark === this.dark[row]![column - 1] && dark === above[column] && dark === above[column - 1]) sum += 3
      }
    }
    return sum + 10 * Math.floor(Math.abs(darkCount / this.size ** 2 - 0.5) * 20)
  }
}

/** Rows of modules, true is dark; without the quiet zone. Throws a `RangeError` above 213 bytes. */
export function qrModules(content: string): readonly (readonly boolean[])[] {
  const bytes = new TextEncoder().encode(content)
  const version = 1 + VERSIONS.findIndex(({ blocks }, index) =>
    blocks.reduce((sum, [count, words]) => sum + count * words, 0) >= bytes.length + (index < 9 ? 2 : 3))
  if (version === 0) throw new RangeError("too long for a QR code")
  const words = codeWords(bytes, version)
  const grids = MASKS.map((_, index) => {
    const grid = new Grid(version)
    grid.fill(words)
    grid.mask(index)
    return grid
  })
  return grids.reduce((best, grid) => (grid.penalty() < best.penalty() ? grid : best)).dark
}

/** The dark modules as one SVG path in units of a module, moved by the quiet zone of four. */
export function qrPath(modules: readonly (readonly boolean[])[]): string {
  return modules.flatMap((row, y) => row.flatMap((dark, x) => (dark ? [`M${x + 4} ${y + 4}h1v1h-1z`] : []))).join("")
}
