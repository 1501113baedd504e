import { readdir, readFile } from 'node:fs/promises'
import os from 'node:os'

/** One JSON line of the contract. */
interface Line {
  readonly time: number
  readonly metric: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
  readonly unit?: string
  readonly type?: 'counter' | 'gauge'
}

type Put = (
  metric: string,
  value: number,
  unit: string,
  type: 'counter' | 'gauge',
  labels?: Record<string, string>,
) => void

export interface HostOptions {
  readonly hostname?: string
  /** Where the kernel's figures are; another folder in tests. */
  readonly proc?: string
}

/** Kernel ticks a second (USER_HZ), 100 on every Linux that Node runs on. */
const TICKS_PER_S = 100
/** /proc/diskstats counts sectors of this size whatever the disk's own is, bytes. */
const SECTOR_BYTES = 512
/** Disks and interfaces looked at; a machine with more is a server of containers, which other exporters know. */
const DEVICES_MAX = 64

/**
 * What this machine does now, as a body of JSON lines: CPU (total and by mode), memory, disk and network traffic,
 * load, processes. From /proc on Linux; elsewhere what node:os knows. Figures that cannot be read are left out.
 */
export async function hostSamples(timeMs: number, options: HostOptions = {}): Promise<Uint8Array> {
  const host = options.hostname ?? os.hostname()
  const proc = options.proc ?? '/proc'
  const lines: string[] = []
  const put: Put = (metric, value, unit, type, labels = {}) => {
    if (!Number.isFinite(value)) return
    const line: Line = { time: timeMs, metric, labels: { service: host, ...labels }, value, unit, type }
    lines.push(JSON.stringify(line))
  }
  const [stat, meminfo, disks, network, loads] = await Promise.all(
    ['stat', 'meminfo', 'diskstats', 'net/dev', 'loadavg'].map(name => readOr(`${proc}/${name}`)),
  )
  if (stat === '') fromNode(put)
  else {
    cpu(stat, put)
    memory(meminfo, put)
    disk(disks, put)
    net(network, put)
    load(loads, put)
    put('host_processes', await processes(proc), '1', 'gauge')
  }
  return new TextEncoder().encode(lines.join('\n'))
}

async function readOr(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch {
    return ''
  }
}

/** Each process is a folder named by its id. */
async function processes(proc: string): Promise<number> {
  try {
    return (await readdir(proc)).filter(name => /^\d+$/.test(name)).length
  } catch {
    return Number.NaN
  }
}

const MODES = ['user', 'nice', 'system', 'idle', 'iowait', 'irq', 'softirq', 'steal'] as const
const IDLE = 3
const IOWAIT = 4

function cpu(stat: string, put: Put): void {
  const ticks = /^cpu\s+(.*)$/m.exec(stat)?.[1].trim().split(/\s+/).map(Number) ?? []
  let busy = 0
  for (let i = 0; i < MODES.length && i < ticks.length; i++) {
    put('host_cpu_mode_seconds_total', ticks[i] / TICKS_PER_S, 's', 'counter', { mode: MODES[i] })
    if (i !== IDLE && i !== IOWAIT) busy += ticks[i]
  }
  if (ticks.length > IOWAIT) put('host_cpu_seconds_total', busy / TICKS_PER_S, 's', 'counter')
  put('host_context_switches_total', numberAfter(stat, 'ctxt'), '1', 'counter')
  put('host_forks_total', numberAfter(stat, 'processes'), '1', 'counter')
  put('host_processes_running', numberAfter(stat, 'procs_running'), '1', 'gauge')
  put('host_processes_blocked', numberAfter(stat, 'procs_blocked'), '1', 'gauge')
}

function numberAfter(text: string, name: string): number {
  return Number(new RegExp(`^${name}:?\\s+(\\d+)`, 'm').exec(text)?.[1] ?? Number.NaN)
}

function memory(meminfo: string, put: Put): void {
  const kib = (name: string): number => numberAfter(meminfo, name) * 1024
  const total = kib('MemTotal')
  const available = kib('MemAvailable')
  put('host_memory_total_bytes', total, 'By', 'gauge')
  put('host_memory_available_bytes', available, 'By', 'gauge')
  put('host_memory_used_ratio', 1 - available / total, 'ratio', 'gauge')
  put('host_swap_used_bytes', kib('SwapTotal') - kib('SwapFree'), 'By', 'gauge')
}

/** Whole disks only: partitions, loops and RAM disks would count the same bytes again. */
const WHOLE_DISK = /^(sd[a-z]+|vd[a-z]+|xvd[a-z]+|hd[a-z]+|nvme\d+n\d+|mmcblk\d+)$/

function disk(diskstats: string, put: Put): void {
  let devices = 0
  for (const line of diskstats.split('\n')) {
    const fields = line.trim().split(/\s+/)
    if (fields.length < 14 || !WHOLE_DISK.test(fields[2]) || devices++ >= DEVICES_MAX) continue
    const labels = { device: fields[2] }
    put('host_disk_read_bytes_total', Number(fields[5]) * SECTOR_BYTES, 'By', 'counter', labels)
    put('host_disk_written_bytes_total', Number(fields[9]) * SECTOR_BYTES, 'By', 'counter', labels)
    put('host_disk_io_seconds_total', Number(fields[12]) / 1000, 's', 'counter', labels)
  }
}

function net(dev: string, put: Put): void {
  let devices = 0
  for (const line of dev.split('\n')) {
    const found = /^\s*([^:]+):\s*(.*)$/.exec(line)
    if (!found || found[1] === 'lo' || devices++ >= DEVICES_MAX) continue
    const n = found[2].split(/\s+/).map(Number)
    const labels = { device: found[1] }
    put('host_network_receive_bytes_total', n[0], 'By', 'counter', labels)
    put('host_network_transmit_bytes_total', n[8], 'By', 'counter', labels)
    put('host_network_errors_total', n[2] + n[10], '1', 'counter', labels)
    put('host_network_drops_total', n[3] + n[11], '1', 'counter', labels)
  }
}

function load(loadavg: string, put: Put): void {
  const [one, five, fifteen] = loadavg.split(' ')
  put('host_load1', Number(one), '1', 'gauge')
  put('host_load5', Number(five), '1', 'gauge')
  put('host_load15', Number(fifteen), '1', 'gauge')
}

function fromNode(put: Put): void {
  const modes = new Map<string, number>()
  for (const { times } of os.cpus()) {
    for (const [mode, ms] of Object.entries(times)) modes.set(mode, (modes.get(mode) ?? 0) + ms)
  }
  let busy = 0
  for (const [mode, ms] of modes) {
    const name = mode === 'sys' ? 'system' : mode
    put('host_cpu_mode_seconds_total', ms / 1000, 's', 'counter', { mode: name })
    if (mode !== 'idle') busy += ms
  }
  put('host_cpu_seconds_total', busy / 1000, 's', 'counter')
  const total = os.totalmem()
  put('host_memory_total_bytes', total, 'By', 'gauge')
  put('host_memory_available_bytes', os.freemem(), 'By', 'gauge')
  put('host_memory_used_ratio', 1 - os.freemem() / total, 'ratio', 'gauge')
  // Windows has no load average and says nought.
  if (os.platform() !== 'win32') {
    const [one, five, fifteen] = os.loadavg()
    put('host_load1', one, '1', 'gauge')
    put('host_load5', five, '1', 'gauge')
    put('host_load15', fifteen, '1', 'gauge')
  }
}
