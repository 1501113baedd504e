import { lstat, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ForeshockError } from '../core/errors.ts'

/** What is wrong with a package: its folder, then the file and the reason. */
export const invalidPackage = (folder: string, reason: string, cause?: unknown) =>
  new ForeshockError('FS_MODEL_INVALID', `${folder}: ${reason}`, { cause })

/** A file of the package itself. Throws FS_MODEL_INVALID when it is missing, no plain file or too large. */
export async function packageFile(folder: string, file: string, bytesMax: number): Promise<Uint8Array> {
  const path = join(folder, file)
  const found = await lstat(path).catch(() => undefined)
  if (!found) throw invalidPackage(folder, `${file} is missing`)
  // A link could lead anywhere, and a device or pipe never end.
  if (!found.isFile()) throw invalidPackage(folder, `${file} is no plain file`)
  if (found.size > bytesMax)
    throw invalidPackage(folder, `${file} has ${found.size} bytes, at most ${bytesMax} are read`)
  return readFile(path)
}
