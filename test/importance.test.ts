// Shows which entities get memory first: those of disruptions on the board, then their suspects and the front doors; of
// their own tenant, whatever another's are called.
import { describe, expect, it } from 'vitest'
import type { Disruption } from '../src/core/disruption.ts'
import { importanceOf } from '../src/importance.ts'

const of = (tenant: string, entity: string) => ({ tenant, entity })

describe('importance', () => {
  it('is of front doors, of entities in trouble and of their suspects', () => {
    const disruption = { tenant: 'acme', entity: 'cart', suspects: [{ entity: 'store' }, { entity: 'cart' }] }
    const found = importanceOf(
      [disruption as unknown as Disruption],
      [of('acme', 'web'), of('acme', 'batch'), of('globex', 'cart')],
    )
    expect(Object.fromEntries(found)).toEqual({
      'acme/web': 0.5,
      'acme/batch': 0.5,
      'acme/cart': 1,
      'acme/store': 0.5,
      'globex/cart': 0.5,
    })
  })
})
