// Shows what configuration makes of the pool for suspects: none by default, with a size its detectors join the
// ensemble under their own ids, in the order given and once each, and the environment can set the size.
import { describe, expect, it } from 'vitest'
import { assemble } from '../src/assembly.ts'
import { parseConfig } from '../src/config.ts'
import { Rejects } from '../src/core/rejects.ts'

const scoringOf = (detection: unknown, environment = {}) =>
  assemble(parseConfig({ detection }, { environment }), new Rejects()).scoring

describe('the pool of an assembled pipeline', () => {
  it('is not there by default', () => {
    const scoring = scoringOf({})
    expect(scoring.pool()).toEqual({})
    expect(scoring.detectors.map(({ id }) => id)).not.toContain('rcf@1')
  })

  it('has the detectors asked for', () => {
    const scoring = scoringOf({ pool: { size: 3, detectors: ['sr', 'rcf', 'sr'] } })
    expect(scoring.detectors.map(({ id }) => id).slice(-2)).toEqual(['sr@1', 'rcf@1'])
    expect(scoring.pool()).toEqual({
      held: 0,
      places: 3,
      'without-size': 0,
      admitted: 0,
      evicted: 0,
      refused: 0,
      cold: 0,
    })
    const set = scoringOf({}, { FORESHOCK_DETECTION_POOL_SIZE: '4' })
    expect(set.detectors.map(({ id }) => id).slice(-2)).toEqual(['rcf@1', 'shapes@1'])
  })

  it('is refused with the key that is wrong', () => {
    expect(() => scoringOf({ pool: { size: -1 } })).toThrow(/detection\.pool\.size/)
    expect(() => scoringOf({ pool: { size: 1, detectors: ['oracle'] } })).toThrow(
      /detection\.pool\.detectors/,
    )
  })
})
