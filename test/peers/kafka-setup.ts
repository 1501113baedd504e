// Vitest's global setup: a folder where the tests of this run find the Kafka that they share, and its end.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'

declare module 'vitest' {
  interface ProvidedContext {
    /** Where it is written down, and the process that it ends with. */
    kafka: { folder: string; pid: number }
  }
}

export function setup(project: TestProject): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'foreshock-shared-kafka-'))
  project.provide('kafka', { folder, pid: process.pid })
  return () => {
    for (const name of readdirSync(folder)) {
      if (!name.startsWith('kafka-')) continue
      try {
        process.kill(Number(readFileSync(join(folder, name, 'pid'), 'utf8')), 'SIGKILL')
      } catch {
        // It has ended by itself.
      }
    }
    rmSync(folder, { recursive: true, force: true })
  }
}
