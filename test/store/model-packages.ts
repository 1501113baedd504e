// Model packages for tests, as folders and as the tar that is pushed.
import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { create, Header } from 'tar'

export interface PackageText {
  readonly id?: string
  readonly version?: number
  readonly format?: string
  readonly model?: string | Uint8Array
}

/** The smallest card that says what the registry reads of it. */
export function cardOf({ id = 'echo', version = 1, format, model = 'bytes' }: PackageText = {}) {
  const digest = `sha256:${createHash('sha256').update(model).digest('hex')}`
  return { id, version, title: `${id} ${version}`, task: 'score', digest, ...(format ? { format } : {}) }
}

/** Writes a package into `<root>/<id>/<version>` and returns that folder. */
export function writePackage(root: string, text: PackageText = {}): string {
  const { id = 'echo', version = 1, model = 'bytes' } = text
  const folder = join(root, id, String(version))
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'card.json'), JSON.stringify(cardOf(text)))
  writeFileSync(join(folder, 'golden.json'), '{"inputs":[[1]],"outputs":[[1]]}')
  writeFileSync(join(folder, 'model.onnx'), model)
  return folder
}

/** The tar of files in a folder. */
export async function tarOf(folder: string, files: readonly string[], gzip = false): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of create({ cwd: folder, gzip, portable: true }, [...files])) chunks.push(chunk)
  return Buffer.concat(chunks)
}

export const PACKAGE_FILES = ['card.json', 'golden.json', 'model.onnx']

export interface RawEntry {
  readonly path: string
  readonly data?: string | Uint8Array
  readonly type?: 'File' | 'Directory' | 'SymbolicLink' | 'Link' | 'CharacterDevice' | 'FIFO'
  readonly linkpath?: string
  /** Size that the header claims. */
  readonly size?: number
}

/** A tar written by hand, with entries that no honest program writes. */
export function rawTar(entries: readonly RawEntry[]): Buffer {
  const blocks: Buffer[] = []
  for (const { path, data = '', type = 'File', linkpath, size } of entries) {
    const bytes = Buffer.from(data)
    const header = new Header({
      path,
      type,
      mode: 0o644,
      size: size ?? bytes.length,
      mtime: new Date(0),
      ...(linkpath === undefined ? {} : { linkpath }),
    })
    const block = Buffer.alloc(512)
    header.encode(block)
    blocks.push(block, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512))
  }
  return Buffer.concat([...blocks, Buffer.alloc(1024)])
}

/** Bytes as they arrive from a network, in pieces. */
export async function* inPieces(bytes: Uint8Array, size = 700): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}
