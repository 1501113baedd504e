import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Change } from '../core/change.ts'
import { ForeshockError } from '../core/errors.ts'
import type { CallEdge } from '../core/topology.ts'
import { readCsv } from '../ingest/csv.ts'
import { recordedMeta } from '../ingest/csv-replay.ts'
import { Recording } from './recording.ts'
import { readTopology } from './topology-file.ts'

export const LOCALISE_SETS = ['nezha-ob', 'nezha-tt', 'petshop', 'changerca', 'rootcausebench'] as const
export type LocaliseSet = (typeof LOCALISE_SETS)[number]

/** One question: who started it? */
export interface LocaliseCase {
  readonly id: string
  /** Start of the fault, Unix ms. */
  readonly atMs: number
  readonly truth: readonly string[]
  readonly alert?: { readonly entity: string; readonly metric: string }
  /** Entities that the fault took with it; undefined where the set does not say. */
  readonly blast?: readonly string[]
}

/** Recordings with the questions asked of each; one recording may hold many faults. */
export interface LocaliseGroup {
  readonly set: LocaliseSet
  readonly stepMs: number
  readonly cases: readonly LocaliseCase[]
  readonly load: () => Promise<Recording>
}

interface Line {
  readonly id: string
  readonly root: { readonly service: string }
  readonly series: string
  readonly [key: string]: unknown
}

const MINUTE = 60_000

export function readIncidents<T = Line>(folder: string): T[] {
  const file = join(folder, 'incidents.jsonl')
  if (!existsSync(file)) throw new ForeshockError('FS_INPUT_INVALID', `${file}: no such file`)
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter(line => line.trim() !== '')
    .map(line => JSON.parse(line) as T)
}

/** All groups of the sets that are there; absent sets are simply not measured. */
export function localiseGroups(data: string): LocaliseGroup[] {
  const folder = (name: string): string | undefined => {
    const path = join(data, 'rca', name)
    return existsSync(join(path, 'incidents.jsonl')) ? path : undefined
  }
  const [nezha, petshop] = [folder('nezha'), folder('petshop')]
  const [changerca, bench] = [folder('changerca-online-boutique'), folder('rootcausebench')]
  return [
    ...(nezha ? nezhaGroups(nezha) : []),
    ...(petshop ? petshopGroups(petshop) : []),
    ...(changerca ? changercaGroups(changerca) : []),
    ...(bench ? rootcausebenchGroups(bench) : []),
  ]
}

/** One group a recorded day. */
export function nezhaGroups(folder: string): LocaliseGroup[] {
  const bySeries = new Map<string, Line[]>()
  for (const line of readIncidents(folder)) {
    const own = bySeries.get(line.series)
    if (own) own.push(line)
    else bySeries.set(line.series, [line])
  }
  return [...bySeries].map(([series, lines]) => ({
    set: lines[0].system === 'train-ticket' ? 'nezha-tt' : 'nezha-ob',
    stepMs: MINUTE,
    cases: lines.map(line => ({
      id: line.id,
      atMs: Number(line.inject_ts) * 1000,
      truth: [line.root.service],
    })),
    load: async () => {
      const recording = new Recording()
      await recording.read(join(folder, series))
      const topology = join(folder, `dependency-${String(lines[0].system)}.csv.gz`)
      if (existsSync(topology)) recording.edges.push(...own(await readTopology(topology), recording))
      return recording
    },
  }))
}

/** Call edges between entities that are in the recording. */
function own(edges: readonly CallEdge[], recording: Recording): CallEdge[] {
  const names = new Set<string>()
  for (const [, meta] of recording.table.metas()) names.add(meta.entity)
  return edges.filter(edge => names.has(edge.source) && names.has(edge.target))
}

/** The recorded normal time is another day: it is moved to end where the incident's rows begin. */
function petshopGroups(folder: string): LocaliseGroup[] {
  return readIncidents(folder).map(line => {
    const target = line.target as { node: string; metric: string; timestamp: number }
    return {
      set: 'petshop',
      stepMs: 5 * MINUTE,
      cases: [
        {
          id: line.id,
          atMs: target.timestamp * 1000,
          truth: [line.root.service],
          alert: { entity: target.node, metric: target.metric },
        },
      ],
      load: async () => {
        const recording = new Recording()
        await recording.read(join(folder, line.series))
        if (typeof line.normal === 'string') {
          const normal = new Recording()
          await normal.read(join(folder, line.normal))
          const gap = recording.span().firstMs - 5 * MINUTE - normal.span().lastMs
          await recording.read(join(folder, line.normal), gap)
        }
        if (typeof line.graph === 'string')
          recording.edges.push(...(await readTopology(join(folder, line.graph))))
        return recording
      },
    }
  })
}

interface Release {
  readonly service: string
  readonly release_ts: number
}

function changercaGroups(folder: string): LocaliseGroup[] {
  return readIncidents(folder).map(line => ({
    set: 'changerca',
    stepMs: MINUTE,
    cases: [{ id: line.id, atMs: Number(line.detect_ts) * 1000, truth: [line.root.service] }],
    load: async () => {
      const recording = new Recording()
      await readCanaryRows(join(folder, line.series), recording)
      for (const { service, release_ts } of line.releases as Release[]) {
        recording.changes.push(changeAt(release_ts * 1000, service, 'deploy', 'release'))
      }
      return recording
    },
  }))
}

function changeAt(timeMs: number, entity: string, kind: string, ref: string): Change {
  return { id: `${kind} ${entity} ${timeMs} ${ref}`, timeMs, entity, kind, ref }
}

/** Measures of a pod, and of a call as the pod of `service` saw it, as labels the way service meshes write them. */
const POD_METRICS = ['cpu_pct', 'mem_pct', 'node_cpu_pct', 'node_mem_pct'] as const
const CALL_METRICS = ['success_rate', 'latency_s'] as const

async function readCanaryRows(file: string, recording: Recording): Promise<void> {
  const at = new Map<string, number>()
  const seen = new Set<string>()
  for await (const { row, fields } of readCsv(file)) {
    if (row === 1) {
      for (const [i, name] of fields.entries()) at.set(name, i)
      continue
    }
    const cell = (name: string): string => fields[at.get(name) ?? -1] ?? ''
    const timeMs = Math.round(Number(cell('timestamp')) / 60) * MINUTE
    const [service, version, pod] = [cell('service'), cell('version'), cell('pod')]
    const podKey = `${timeMs} ${service} ${version} ${pod}`
    if (!seen.has(podKey)) {
      seen.add(podKey)
      for (const name of POD_METRICS) {
        const metric = name.replace(/^node_(\w+)_pct$/, 'node.$1_percent').replace(/_pct$/, '_percent')
        addSample(recording, service, `k8s.${metric}`, { version, pod }, timeMs, cell(name))
      }
    }
    const labels = { version, pod, client: cell('src'), server: cell('dst') }
    for (const name of CALL_METRICS) {
      const metric = name === 'latency_s' ? 'call_latency_seconds' : 'call_success_percent'
      addSample(recording, service, metric, labels, timeMs, cell(name))
    }
  }
}

function addSample(
  recording: Recording,
  entity: string,
  metric: string,
  labels: Readonly<Record<string, string>>,
  timeMs: number,
  cell: string,
): void {
  if (cell === '') return
  recording.add(recording.intern(recordedMeta(entity, metric, '', labels)), timeMs, Number(cell))
}

interface Deploy {
  readonly timestamp: string
  readonly service: string
  readonly version?: string
  readonly flag?: string
}

function rootcausebenchGroups(folder: string): LocaliseGroup[] {
  return readIncidents(folder).map(line => {
    const alert = line.alert as { service: string; metric: string; fired_at: string }
    return {
      set: 'rootcausebench',
      stepMs: MINUTE,
      cases: [
        {
          id: line.id,
          atMs: Date.parse(alert.fired_at),
          truth: [line.root.service],
          blast: line.blast_radius as string[],
        },
      ],
      load: async () => {
        const recording = new Recording()
        await recording.read(join(folder, line.series))
        for (const one of line.deploys as Deploy[])
          recording.changes.push(
            changeAt(Date.parse(one.timestamp), one.service, 'deploy', one.version ?? ''),
          )
        for (const one of line.flags as Deploy[])
          recording.changes.push(changeAt(Date.parse(one.timestamp), one.service, 'flag', one.flag ?? ''))
        return recording
      },
    }
  })
}
