// What the kernel says of a lab service's main thread: time on a CPU and time it waited for one.
import { readFileSync } from 'node:fs'

export interface Scheduled {
  readonly atMs: number
  readonly ranMs: number
  /** Ready to run, while another had the CPU. */
  readonly waitedMs: number
}

/** Of the service of a role among these processes; undefined where the kernel does not say (schedstats, Linux). */
export function scheduled(role: string, pids: readonly number[]): Scheduled | undefined {
  for (const pid of pids) {
    try {
      if (!readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`"role":"${role}"`)) continue
      const [ran, waited] = readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ').map(Number)
      return { atMs: performance.now(), ranMs: ran / 1e6, waitedMs: waited / 1e6 }
    } catch {
      // Ended meanwhile, or no /proc.
    }
  }
  return undefined
}

/** Shares of the time between two readings: on a CPU, wanted (on it or waiting for it), and got of what was wanted. */
export function shares(before: Scheduled, after: Scheduled) {
  const elapsedMs = after.atMs - before.atMs
  const ranMs = after.ranMs - before.ranMs
  const wantedMs = ranMs + after.waitedMs - before.waitedMs
  return { ran: ranMs / elapsedMs, wanted: wantedMs / elapsedMs, got: ranMs / wantedMs }
}
