// Shows which entities get memory first: those of disruptions on the board, then their suspects and the front doors.
import { describe, expect, it } from 'vitest'
import type { Disruption } from '../src/core/disruption.ts'
import { importanceOf } from '../src/importance.ts'

const edge = (source: string, target: string) => ({ source, target })

describe('importance', () => {
  it('is of front doors, of entities in trouble and of their suspects', () => {
    const disruption = { entity: 'cart', suspects: [{ entity: 'store' }, { entity: 'cart' }] }
    const found = importanceOf(
      [disruption as unknown as Disruption],
      [edge('web', 'cart'), edge('cart', 'store'), edge('batch', 'store')],
    )
    expect(Object.fromEntries(found)).toEqual({ web: 0.5, batch: 0.5, cart: 1, store: 0.5 })
  })
})
