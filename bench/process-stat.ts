import { readFileSync } from 'node:fs'

/** What Linux says of another process. */

/** Ticks of /proc/PID/stat a second: the kernel's USER_HZ, 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100

/** CPU seconds that a process has used so far, all threads. Throws where there is no such process. */
export function cpuSecondsOf(pid: number): number {
  // The name in brackets may hold spaces: fields are counted from behind it.
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

export interface Resident {
  /** Bytes now, and at most so far. */
  readonly now: number
  readonly peak: number
}

/** Resident memory of a process. Throws where there is no such process. */
export function residentOf(pid: number): Resident {
  const text = readFileSync(`/proc/${pid}/status`, 'latin1')
  const kib = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0)
  return { now: 1024 * kib('VmRSS'), peak: 1024 * kib('VmHWM') }
}
