// A disk of a few megabytes that a test can fill: a tmpfs of its own, for those who may mount one.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Runs `work` with an empty folder of `bytes`. False when none can be mounted here. */
export async function withSmallDisk(bytes: number, work: (dir: string) => Promise<void>): Promise<boolean> {
  const dir = mkdtempSync(join(tmpdir(), 'foreshock-small-disk-'))
  const mount = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', dir])
  if (mount.status !== 0) {
    rmSync(dir, { recursive: true })
    return false
  }
  try {
    await work(dir)
  } finally {
    spawnSync('umount', ['-l', dir])
    rmSync(dir, { recursive: true, force: true })
  }
  return true
}
