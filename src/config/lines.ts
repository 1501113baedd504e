import { type Document, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml'

/** A text of YAML: its plain value, and where its keys stand. */
export interface WrittenYaml {
  readonly value: unknown
  /** The line of a key, or of the nearest key around it that is written; undefined in an empty text. Counted from 1. */
  lineOf(path: readonly PropertyKey[]): number | undefined
}

/** Throws what the parser finds wrong; its message says where. */
export function readYaml(text: string): WrittenYaml {
  const lines = new LineCounter()
  const document: Document = parseDocument(text, { lineCounter: lines })
  const [error] = document.errors
  if (error !== undefined) throw error
  return {
    value: document.toJS() ?? {},
    lineOf: path => {
      const offset = offsetOf(document.contents, path)
      return offset === undefined ? undefined : lines.linePos(offset).line
    },
  }
}

/** Where the deepest key of a path begins that is there. */
function offsetOf(root: Node | null, path: readonly PropertyKey[]): number | undefined {
  let at: unknown = root
  let offset: number | undefined
  for (const part of path) {
    if (isSeq(at)) {
      at = at.items[Number(part)]
      offset = (at as Node | undefined)?.range?.[0] ?? offset
      continue
    }
    if (!isMap(at)) break
    const pair = at.items.find(({ key }) => isScalar(key) && String(key.value) === String(part))
    if (pair === undefined) break
    offset = (pair.key as Node).range?.[0] ?? offset
    at = pair.value
  }
  return offset
}
