// Shows that the dependency rules of ARCHITECTURE.md hold: it reads every import under src/ and checks who
// imports whom, that third-party engines stay in their rooms, and that no circle of files exists.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const SRC = resolve(import.meta.dirname, '../src')

interface Import {
  from: string
  to: string
  typeOnly: boolean
}

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter(name => name.endsWith('.ts') && !name.endsWith('.d.ts'))
  .map(name => name.replaceAll('\\', '/'))

const imports: Import[] = files.flatMap(from => {
  const text = readFileSync(join(SRC, from), 'utf8')
  const pattern = /^(?:import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?'([^']+)'/gm
  const dynamic = /\bimport\('([^']+)'\)/g
  const found = [...text.matchAll(pattern)].map(m => ({ typeOnly: m[1] !== undefined, to: m[2] }))
  found.push(...[...text.matchAll(dynamic)].map(m => ({ typeOnly: false, to: m[1] })))
  return found.map(({ typeOnly, to }) => ({
    from,
    typeOnly,
    to: to.startsWith('.') ? relative(SRC, resolve(SRC, dirname(from), to)).replaceAll('\\', '/') : to,
  }))
})

const room = (file: string) => (file.includes('/') ? file.split('/')[0] : file.replace(/\.ts$/, ''))
const DOMAIN = ['ingest', 'features', 'detectors', 'disruptions']
const BASE = ['core', 'math', 'kernels']

/** Rooms a room may import at run time; types of the domain rooms come beside for the outer rooms. */
const ALLOWED: Record<string, readonly string[]> = {
  core: [],
  math: [],
  kernels: [],
  ingest: BASE,
  features: BASE,
  detectors: BASE,
  disruptions: BASE,
  bus: BASE,
  store: ['core'],
  publish: ['core'],
  serve: ['core'],
  experiments: ['core', 'math'],
  evaluate: ['core', 'math'],
  lab: ['core'],
  checkpoint: ['core'],
  'cut-pace': ['core'],
  effects: ['core'],
  importance: ['core'],
  orphans: ['core'],
  'model-desk': ['core'],
  overlap: ['core', 'importance'],
  slices: ['core', 'importance', 'overlap'],
  pipeline: [...BASE, ...DOMAIN, 'checkpoint', 'importance', 'overlap', 'slices'],
}
const TYPES_OF_DOMAIN = [
  'serve',
  'experiments',
  'evaluate',
  'lab',
  'pipeline',
  'checkpoint',
  'effects',
  'model-desk',
  'overlap',
  'slices',
]
const TOP = [
  'main',
  'cli',
  'config',
  'commands',
  'roles',
  'assembly',
  'scoring-assembly',
  'shards',
  'alerting',
  'experimenting',
  'wiring',
  'upkeep',
  'warm-up',
  'reconcile',
  'sample-quotas',
  'fleet',
  'engines',
  'listening',
]

describe('dependency rules', () => {
  it('finds the source', () => {
    expect(files.length).toBeGreaterThan(10)
    expect(imports.length).toBeGreaterThan(20)
  })

  it('no room imports a room that it must not', () => {
    const wrong = imports.filter(({ from, to, typeOnly }) => {
      if (!to.endsWith('.ts')) return false
      const [a, b] = [room(from), room(to)]
      if (a === b || TOP.includes(a)) return false
      if (
        typeOnly &&
        TYPES_OF_DOMAIN.includes(a) &&
        [...DOMAIN, 'store', 'bus', 'publish', 'pipeline'].includes(b)
      )
        return false
      return !(ALLOWED[a] ?? []).includes(b)
    })
    expect(wrong.map(i => `${i.from} → ${i.to}`)).toEqual([])
  })

  it('nobody imports main or cli, and only they import config', () => {
    const wrong = imports.filter(({ from, to, typeOnly }) => {
      if (!to.endsWith('.ts') || typeOnly) return false
      const [a, b] = [room(from), room(to)]
      if (b === 'cli') return true
      return (b === 'main' || b === 'config') && !TOP.includes(a)
    })
    expect(wrong.map(i => `${i.from} → ${i.to}`)).toEqual([])
  })

  it('engines stay in their rooms', () => {
    const homes: readonly (readonly [RegExp, RegExp])[] = [
      [/^kafkajs/, /^bus\/kafka/],
      [/^ioredis/, /^store\/redis/],
      [/^onnxruntime/, /^detectors\/onnx/],
      [/^@tensorflow\//, /^detectors\/tfjs/],
      [/^(fastify|@fastify\/|@grpc\/)/, /^serve\//],
      [/^(pg|@duckdb\/)/, /^store\//],
      [/^prom-client/, /^core\/telemetry/],
      [/^mathjs/, /^features\//],
      [/^@opentelemetry\//, /^lab\//],
      [/^(yaml)$/, /^config/],
    ]
    // Roles hold the service that `serve` builds, and import no more than its type.
    const wrong = imports.filter(
      ({ from, to, typeOnly }) =>
        !(typeOnly && to === 'fastify') &&
        homes.some(([engine, home]) => engine.test(to) && !home.test(from)),
    )
    expect(wrong.map(i => `${i.from} → ${i.to}`)).toEqual([])
  })

  it('only config reads the environment', () => {
    const wrong = files.filter(
      file => room(file) !== 'config' && /process\.env\b/.test(readFileSync(join(SRC, file), 'utf8')),
    )
    // A lab service is a program of its own, started by the lab with its settings in its environment.
    expect(wrong.filter(file => !file.startsWith('lab/'))).toEqual([])
  })

  it('has no circles', () => {
    const graph = new Map<string, string[]>()
    for (const { from, to, typeOnly } of imports) {
      if (to.endsWith('.ts') && !typeOnly) graph.set(from, [...(graph.get(from) ?? []), to])
    }
    const state = new Map<string, 'open' | 'done'>()
    const circles: string[] = []
    const visit = (file: string, path: string[]): void => {
      if (state.get(file) === 'done') return
      if (state.get(file) === 'open') {
        circles.push([...path.slice(path.indexOf(file)), file].join(' → '))
        return
      }
      state.set(file, 'open')
      for (const next of graph.get(file) ?? []) visit(next, [...path, file])
      state.set(file, 'done')
    }
    for (const file of files) visit(file, [])
    expect(circles).toEqual([])
  })
})
