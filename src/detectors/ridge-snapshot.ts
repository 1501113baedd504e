import { ForeshockError } from '../core/errors.ts'
import type { SeriesRows } from '../core/series.ts'
import type { ColumnData, Snapshot } from '../core/snapshot.ts'
import type { Calibration } from './calibration.ts'
import type { RidgeShape } from './ridge.ts'
import { packColumn, type StateColumn, savedLength, unpackColumn } from './ridge-columns.ts'
import type { RidgeRoster } from './ridge-roster.ts'

const ID = 'ridge@1'
const VERSION = 1

/** Step, and the longest warm-up in windows. */
export interface RidgeTimes {
  readonly stepMs: number
  readonly warmUpMax: number
}

/**
 * The learned state of all entities that are judged. `keys` are the covered series; `block.*` columns hold the columns of
 * all blocks one after the other, in the order of `entities` and their parts. Precision matrices are not saved: they
 * follow from the covariances.
 */
interface Meta extends RidgeTimes {
  readonly turns: number
  /** `members`: places in `keys`, in the order of the detector's metrics. */
  readonly entities: readonly {
    readonly members: readonly number[]
    readonly learnedEndMs: number | null
    readonly shape: RidgeShape
  }[]
}

export function snapshotRidge(
  roster: RidgeRoster,
  calibrations: readonly Calibration[],
  times: RidgeTimes,
): Snapshot {
  const judged = roster.judged()
  const columns = packBlocks(judged.flatMap(({ detector }) => detector?.blocks() ?? []).map(b => b.columns()))
  for (const [i, calibration] of calibrations.entries()) {
    for (const [name, column] of Object.entries(calibration.snapshot().columns))
      columns[`calibration${i}.${name}`] = column
  }
  const entities: Meta['entities'] = judged.flatMap(({ members, detector, learnedEndMs }) =>
    detector === undefined
      ? []
      : [{ members: members.map(row => roster.coveredRow(row)), learnedEndMs, shape: detector.shape() }],
  )
  const meta: Meta = { ...times, turns: roster.turns, entities }
  return { id: ID, version: VERSION, keys: roster.covered.keys(), columns, meta }
}

function packBlocks(blocks: readonly (readonly StateColumn[])[]): Record<string, ColumnData> {
  const columns: Record<string, ColumnData> = {}
  for (let c = 0; c < (blocks[0]?.length ?? 0); c++) {
    const length = blocks.reduce((sum, block) => sum + savedLength(block[c]), 0)
    const { name, data } = blocks[0][c]
    const out = data instanceof Float32Array ? new Float32Array(length) : new Float64Array(length)
    let at = 0
    for (const block of blocks) at = packColumn(block[c], out, at)
    columns[`block.${name}`] = out
  }
  return columns
}

/** Puts saved entities back under the rows that their series have now; those of lost series are dropped from them. */
export function restoreRidge(
  from: Snapshot,
  roster: RidgeRoster,
  calibrations: readonly Calibration[],
  series: SeriesRows,
  times: RidgeTimes,
): void {
  const meta = from.meta as Meta | null
  if (from.id !== ID || from.version !== VERSION || meta === null)
    throw invalid(`expected ${ID} v${VERSION}, got ${from.id} v${from.version}`)
  if (meta.stepMs !== times.stepMs) throw invalid(`${ID} was saved at a step of ${meta.stepMs} ms`)
  // Another warm-up is another layout of the rows kept until it ends; the rest of the checkpoint is good.
  if (meta.warmUpMax !== times.warmUpMax) return
  const reader = new BlockReader(from)
  for (const { members, learnedEndMs, shape } of meta.entities) {
    const rows = members.map(place => series.row(from.keys[place] ?? ''))
    const alive = rows.filter(row => row >= 0)
    const revived = alive.length < 2 ? undefined : roster.revive(alive, shape.phase)
    if (revived === undefined) {
      reader.skip(shape)
      continue
    }
    const { entity, detector } = revived
    detector.adopt(shape, columns => reader.fill(columns))
    for (let j = rows.length - 1; j >= 0; j--) if (rows[j] < 0) detector.shrink(j)
    roster.seat(entity, detector, alive)
    entity.learnedEndMs = learnedEndMs ?? NaN
  }
  roster.turns = meta.turns
  for (const [i, calibration] of calibrations.entries()) {
    const prefix = `calibration${i}.`
    const columns = Object.entries(from.columns).filter(([name]) => name.startsWith(prefix))
    calibration.restore({
      ...from,
      id: calibration.id,
      columns: Object.fromEntries(columns.map(([name, column]) => [name.slice(prefix.length), column])),
    })
  }
}

/** Walks the `block.*` columns, block by block. */
class BlockReader {
  readonly #from: Snapshot
  readonly #at = new Map<string, number>()

  constructor(from: Snapshot) {
    this.#from = from
  }

  fill(columns: readonly StateColumn[]): void {
    for (const column of columns) {
      const saved = this.#from.columns[`block.${column.name}`]
      const at = this.#at.get(column.name) ?? 0
      const isSame = saved instanceof (column.data instanceof Float32Array ? Float32Array : Float64Array)
      if (!isSame || at + savedLength(column) > saved.length)
        throw invalid(`${ID}: column ${column.name} is missing or of another shape`)
      this.#at.set(column.name, unpackColumn(column, saved, at))
    }
  }

  /** Passes over the blocks of an entity that is not taken up again. */
  skip(shape: RidgeShape): void {
    for (const { lengths } of shape.parts) {
      for (const [name, length] of Object.entries(lengths))
        this.#at.set(name, (this.#at.get(name) ?? 0) + length)
    }
  }
}

function invalid(text: string): ForeshockError {
  return new ForeshockError('FS_SNAPSHOT_INVALID', text)
}
