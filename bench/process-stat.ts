import { readdirSync, readFileSync } from 'node:fs'

/** What Linux says of another process. */

/** Ticks of /proc/PID/stat a second: the kernel's USER_HZ, 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100

/**
 * CPU seconds that a process has used so far, all threads: to the nanosecond where the kernel keeps scheduler statistics (of
 * the threads that are alive), else in ticks of 10 ms. Throws where there is no such process.
 */
export function cpuSecondsOf(pid: number): number {
  return scheduledSecondsOf(pid) ?? tickedSecondsOf(pid)
}

function scheduledSecondsOf(pid: number): number | undefined {
  let ns = 0
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      ns += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ')[0])
    } catch (error) {
      // A thread that has just ended takes its time with it; a kernel without statistics has none at all.
      if (thread === String(pid)) return undefined
      if (
        (error as NodeJS.ErrnoException).code !== 'ENOENT' &&
        (error as NodeJS.ErrnoException).code !== 'ESRCH'
      )
        return undefined
    }
  }
  return ns > 0 ? ns / 1e9 : undefined
}

function tickedSecondsOf(pid: number): number {
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
