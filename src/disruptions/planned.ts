import { type Change, tenantOfChange } from '../core/change.ts'
import { F } from './families.ts'
import type { CallGraph } from './graph.ts'
import type { TenantGraphs } from './tenant-graphs.ts'

/** What an announced interruption makes expected of an entity. */
export type Expected = 'interrupted' | 'caller' | 'callee'

const PLANNED = new Set(['restart', 'maintenance'])

/**
 * Who is expected to look strange now, by tenant: what one announces says nothing of another's entity of that name.
 */
export function expectedByTenant(
  changes: readonly Change[],
  timeMs: number,
  graphs: TenantGraphs,
  defaultMs: number,
  graceMs: number,
): Map<string, Map<string, Expected>> {
  const own = new Map<string, Change[]>()
  for (const change of changes) {
    if (!PLANNED.has(change.kind)) continue
    const tenant = tenantOfChange(change)
    const list = own.get(tenant)
    if (list) list.push(change)
    else own.set(tenant, [change])
  }
  const out = new Map<string, Map<string, Expected>>()
  for (const [tenant, list] of own)
    out.set(tenant, expectedNow(list, timeMs, graphs.of(tenant), defaultMs, graceMs))
  return out
}

/**
 * Who is expected to look strange now: the announced entity in every way, its callers by errors and slowness,
 * what it calls by less traffic. Without topology only the entity itself.
 */
function expectedNow(
  changes: readonly Change[],
  timeMs: number,
  graph: CallGraph,
  defaultMs: number,
  graceMs: number,
): Map<string, Expected> {
  const out = new Map<string, Expected>()
  const active = changes.filter(
    change =>
      PLANNED.has(change.kind) &&
      timeMs > change.timeMs &&
      timeMs <= (change.untilMs ?? change.timeMs + defaultMs) + graceMs,
  )
  for (const change of active) {
    for (const name of graph.descendants(change.entity)) if (!out.has(name)) out.set(name, 'callee')
  }
  for (const change of active) for (const name of graph.ancestors(change.entity)) out.set(name, 'caller')
  for (const change of active) out.set(change.entity, 'interrupted')
  return out
}

/** Whether a family's evidence is part of what was announced. */
export function isExpected(expected: Expected | undefined, family: number): boolean {
  if (expected === undefined) return false
  if (expected === 'interrupted') return true
  if (expected === 'callee') return family === F.load || family === F.net || family === F.io
  return family !== F.absence && family !== F.mem && family !== F.node
}
