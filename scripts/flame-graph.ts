/** A CPU profile of V8 as shares by room and as a flame graph in SVG. */

interface ProfileNode {
  readonly id: number
  readonly callFrame: { readonly functionName: string; readonly url: string }
  readonly hitCount?: number
  readonly children?: readonly number[]
}
export interface CpuProfile {
  readonly nodes: readonly ProfileNode[]
  readonly samples?: readonly number[]
}

export interface Frame {
  readonly name: string
  readonly room: string
  /** Samples in it and in what it calls. */
  total: number
  /** Samples in it alone. */
  self: number
  readonly children: Map<string, Frame>
}

/** The room of the house, or the package, that a script belongs to. */
export function roomOf(url: string, functionName: string): string {
  if (functionName === '(garbage collector)') return 'garbage collection'
  if (functionName === '(program)' || functionName === '(root)') return 'native'
  if (url.startsWith('wasm:')) return 'kernels (wasm)'
  if (url === '') return 'native'
  if (url.startsWith('node:')) return 'node'
  const packaged = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)
  if (packaged) return packaged[1]
  const own = /\/(?:dist|src|bench)\/(.+)\.[jt]s$/.exec(url)
  if (!own) return 'other'
  const parts = own[1].split('/')
  return parts.length > 1 ? `${parts[0]}/` : parts[0]
}

/** The file without folder and ending, to tell functions of one name apart. */
function fileOf(url: string): string {
  return /([^/]+?)(?:\.[jt]s)?$/.exec(url)?.[1] ?? ''
}

const nameOf = ({ callFrame: { functionName, url } }: ProfileNode) =>
  `${functionName === '' ? '(anonymous)' : functionName}${url === '' || url.startsWith('node:') ? '' : ` ${fileOf(url)}`}`

/**
 * The calls as one tree, by samples and not by time between them: a process that has to wait for a core is sampled once,
 * however long it waits. Idle time is left out.
 */
export function treeOf(profile: CpuProfile): Frame {
  const byId = new Map(profile.nodes.map(node => [node.id, node]))
  const hits = new Map<number, number>()
  for (const id of profile.samples ?? []) hits.set(id, (hits.get(id) ?? 0) + 1)
  const root: Frame = { name: 'all', room: 'native', total: 0, self: 0, children: new Map() }
  const walk = (node: ProfileNode, into: Frame): number => {
    const self = profile.samples ? (hits.get(node.id) ?? 0) : (node.hitCount ?? 0)
    let total = self
    into.self += self
    for (const id of node.children ?? []) {
      const child = byId.get(id)
      if (!child || child.callFrame.functionName === '(idle)') continue
      const name = nameOf(child)
      let frame = into.children.get(name)
      if (!frame) {
        const { url, functionName } = child.callFrame
        frame = { name, room: roomOf(url, functionName), total: 0, self: 0, children: new Map() }
        into.children.set(name, frame)
      }
      total += walk(child, frame)
    }
    into.total += total
    return total
  }
  if (profile.nodes.length > 0) walk(profile.nodes[0], root)
  return root
}

export interface Share {
  readonly name: string
  /** Of all samples. */
  readonly share: number
}

/** Where the samples fell, by room or by function, most first. */
export function sharesOf(root: Frame, by: 'room' | 'name'): Share[] {
  const sums = new Map<string, number>()
  const walk = (frame: Frame) => {
    if (frame.self > 0) sums.set(frame[by], (sums.get(frame[by]) ?? 0) + frame.self)
    for (const child of frame.children.values()) walk(child)
  }
  walk(root)
  return [...sums]
    .map(([name, self]) => ({ name, share: self / Math.max(1, root.total) }))
    .sort((a, b) => b.share - a.share || (a.name < b.name ? -1 : 1))
}

const WIDTH = 1200
const ROW = 17
const PAD = 10
const HEAD = 44
/** Frames that are narrower are not drawn, pixels. */
const NARROW = 1
/** Width of a letter at this size, about. */
const LETTER = 6.2
const COLOURS: Readonly<Record<string, string>> = {
  'ingest/': '#e8a33d',
  'features/': '#5fa8d3',
  'detectors/': '#d1495b',
  'disruptions/': '#8d6cab',
  'bus/': '#66a182',
  'core/': '#9aa5b1',
  'math/': '#c98bb9',
  'kernels/': '#2e933c',
  'kernels (wasm)': '#2e933c',
  'serve/': '#7d8cc4',
  'garbage collection': '#444444',
}
const OTHER = '#d9d2c5'

const escaped = (text: string) =>
  text.replace(/[&<>"]/g, c => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c] ?? c)

function boxes(root: Frame): {
  readonly drawn: string[]
  readonly rows: number
  readonly rooms: Set<string>
} {
  const drawn: string[] = []
  const rooms = new Set<string>()
  let rows = 0
  const scale = (WIDTH - 2 * PAD) / Math.max(1, root.total)
  const draw = (frame: Frame, x: number, depth: number) => {
    const width = frame.total * scale
    if (width < NARROW) return
    rows = Math.max(rows, depth + 1)
    rooms.add(frame.room)
    const percent = ((100 * frame.total) / root.total).toFixed(1)
    const fits = Math.floor((width - 4) / LETTER)
    const name = frame.name.length <= fits ? frame.name : fits >= 4 ? `${frame.name.slice(0, fits - 1)}…` : ''
    const y = HEAD + depth * ROW
    const dark = frame.room === 'garbage collection' || frame.room.startsWith('kernels')
    drawn.push(
      `<g><title>${escaped(`${frame.name} (${frame.room}): ${percent} %`)}</title>` +
        `<rect x="${x.toFixed(1)}" y="${y}" width="${Math.max(0.5, width - 0.5).toFixed(1)}" height="${ROW - 1}" fill="${COLOURS[frame.room] ?? OTHER}"/>` +
        (name === ''
          ? ''
          : `<text x="${(x + 2).toFixed(1)}" y="${y + 12}"${dark ? ' fill="#fff"' : ''}>${escaped(name)}</text>`) +
        '</g>',
    )
    let at = x
    const children = [...frame.children.values()].sort(
      (a, b) => b.total - a.total || (a.name < b.name ? -1 : 1),
    )
    for (const child of children) {
      draw(child, at, depth + 1)
      at += child.total * scale
    }
  }
  draw(root, PAD, 0)
  return { drawn, rows, rooms }
}

/** Callers above, what they call below, as wide as their share of the samples; hover for numbers. */
export function flameSvg(root: Frame, title: string): string {
  const { drawn, rows, rooms } = boxes(root)
  const height = HEAD + rows * ROW + PAD
  const named = Object.keys(COLOURS).filter(room => rooms.has(room))
  let x = PAD
  const legend = named.map(room => {
    const at = x
    x += 22 + room.length * LETTER
    return `<rect x="${at}" y="26" width="11" height="11" fill="${COLOURS[room]}"/><text x="${at + 15}" y="36">${room}</text>`
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="ui-monospace, Menlo, Consolas, monospace" font-size="10.5">`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    `<text x="${PAD}" y="16" font-size="13">${escaped(title)}</text>`,
    ...legend,
    ...drawn,
    '</svg>',
    '',
  ].join('\n')
}
