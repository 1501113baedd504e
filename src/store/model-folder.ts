import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { lstat, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ForeshockError } from '../core/errors.ts'
import type { StoredVersion } from '../core/model-standing.ts'

/** Written beside the files of a package when it is taken in: when, by whom, and the hash of each. */
export const PLACED_FILE = '.placed.json'
export const MODEL_NAME = /^[a-z][a-z0-9-]{0,63}$/
const CARD_BYTES_MAX = 65_536
const GRAPH_BYTES_MAX = 16 * 1_048_576

/** SHA-256 of every file of a package by name. */
export type FileHashes = Readonly<Record<string, string>>

interface Placed {
  readonly pushedAt: string
  readonly pushedBy: string
  /** Absent in what was pushed before tenants were told apart. */
  readonly tenant?: string
  readonly files: FileHashes
}

/** The card as it stands in a folder. Throws FS_MODEL_INVALID when it cannot be read; what it says is checked elsewhere. */
export async function cardIn(folder: string): Promise<Readonly<Record<string, unknown>>> {
  return jsonIn(folder, 'card.json', CARD_BYTES_MAX)
}

/** Names of the files that a package's card calls for, sorted. */
export async function filesNamed(
  folder: string,
  card: Readonly<Record<string, unknown>>,
): Promise<readonly string[]> {
  const files = ['card.json', 'golden.json']
  if ((card.format ?? 'onnx') === 'onnx') return [...files, 'model.onnx']
  const { weightsManifest } = await jsonIn(folder, 'model.json', GRAPH_BYTES_MAX)
  const groups = Array.isArray(weightsManifest) ? (weightsManifest as { paths?: unknown }[]) : []
  const paths = groups.flatMap(group => (Array.isArray(group?.paths) ? (group.paths as unknown[]) : []))
  return [...new Set([...files, 'model.json', ...paths.map(String)])].sort()
}

export async function hashesOf(folder: string, files: readonly string[]): Promise<FileHashes> {
  const hashes: Record<string, string> = {}
  for (const name of [...files].sort()) {
    const hash = createHash('sha256')
    for await (const chunk of createReadStream(join(folder, name))) hash.update(chunk)
    hashes[name] = hash.digest('hex')
  }
  return hashes
}

/** One digest for all files of a package. */
export function packageDigest(hashes: FileHashes): string {
  const lines = Object.entries(hashes).map(([name, hash]) => `${hash}  ${name}\n`)
  return `sha256:${createHash('sha256').update(lines.sort().join('')).digest('hex')}`
}

export function placedText(placed: Placed): Buffer {
  return Buffer.from(`${JSON.stringify(placed, null, 1)}\n`)
}

/** A version as it lies in a folder. Throws FS_MODEL_INVALID when it is not what its place says. */
export async function versionIn(
  folder: string,
  model: string,
  version: number,
  source: StoredVersion['source'],
): Promise<StoredVersion> {
  const card = await cardIn(folder)
  if (card.id !== model || card.version !== version)
    throw invalid(folder, `its card says ${String(card.id)} ${String(card.version)}`)
  if (typeof card.digest !== 'string') throw invalid(folder, 'its card names no digest')
  const placed =
    source === 'pushed' ? ((await jsonIn(folder, PLACED_FILE, CARD_BYTES_MAX)) as unknown as Placed) : null
  const files = placed ? Object.keys(placed.files) : await filesNamed(folder, card)
  const hashes = placed?.files ?? (await hashesOf(folder, files))
  let bytes = 0
  for (const name of files) bytes += (await lstat(join(folder, name))).size
  return {
    model,
    version,
    digest: card.digest,
    packageDigest: packageDigest(hashes),
    source,
    folder,
    bytes,
    files,
    card,
    pushedAt: placed?.pushedAt ?? null,
    pushedBy: placed?.pushedBy ?? null,
    ...(placed ? { tenant: placed.tenant ?? 'default' } : {}),
  }
}

/** All versions under `<root>/<model>/<version>/`; what cannot be read is told of and passed over. */
export async function versionsUnder(
  root: string,
  source: StoredVersion['source'],
  onWarning: (text: string) => void,
): Promise<StoredVersion[]> {
  const found: StoredVersion[] = []
  for (const model of await foldersIn(root)) {
    if (!MODEL_NAME.test(model)) continue
    for (const name of await foldersIn(join(root, model))) {
      if (!/^[1-9]\d{0,8}$/.test(name)) continue
      const folder = join(root, model, name)
      await versionIn(folder, model, Number(name), source).then(
        one => found.push(one),
        cause => onWarning(`model ${model} ${name} is passed over: ${(cause as Error).message}`),
      )
    }
  }
  return found
}

async function foldersIn(path: string): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return []
    throw cause
  })
  return entries.filter(entry => entry.isDirectory()).map(entry => entry.name)
}

async function jsonIn(
  folder: string,
  name: string,
  bytesMax: number,
): Promise<Readonly<Record<string, unknown>>> {
  const path = join(folder, name)
  const found = await lstat(path).catch(() => undefined)
  if (!found?.isFile()) throw invalid(folder, `${name} is missing or no plain file`)
  if (found.size > bytesMax)
    throw invalid(folder, `${name} has ${found.size} bytes, at most ${bytesMax} are read`)
  try {
    const json: unknown = JSON.parse(await readFile(path, 'utf8'))
    if (typeof json === 'object' && json !== null) return json as Record<string, unknown>
  } catch {
    // said below
  }
  throw invalid(folder, `${name} is no JSON object`)
}

const invalid = (folder: string, reason: string) =>
  new ForeshockError('FS_MODEL_INVALID', `${folder}: ${reason}`)
