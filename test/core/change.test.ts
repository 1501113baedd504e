// Shows that a change is read from what people and tools write, that its line reads back the same, and that each
// mistake is named.
import { describe, expect, it, vi } from 'vitest'
import { changeLine, changeOf } from '../../src/core/change.ts'
import { contentId } from '../../src/core/identity.ts'

const AT = Date.parse('2026-11-20T12:00:00Z')

describe('change', () => {
  it.each([
    ['ISO 8601', '2026-11-20T12:00:00Z'],
    ['Unix s', AT / 1000],
    ['Unix ms', AT],
  ])('reads a time in %s', (_, time) => {
    expect(changeOf({ time, entity: 'a', kind: 'deploy', ref: 'v2' })).toEqual({
      id: contentId('chg', 'a', 'deploy', 'v2', AT),
      timeMs: AT,
      entity: 'a',
      kind: 'deploy',
      ref: 'v2',
    })
  })

  it.each(['2026-11-20T12:00:00', '2026-11-20 12:00', ' 2026-11-20T13:00:00+01:00', `${AT / 1000}`])(
    'reads %j as samples do, whatever the zone of this machine is',
    time => {
      vi.stubEnv('TZ', 'America/New_York')
      expect(changeOf({ time, entity: 'a', kind: 'deploy', until: time })).toMatchObject({
        timeMs: AT,
        untilMs: AT,
      })
      vi.unstubAllEnvs()
    },
  )

  // Of a clock that was never set times are a few seconds: as numbers they would be Unix s.
  it.each([AT, 0, 5000, -1, 1e11 - 1, 1e11, -1e11, 8.64e15])('reads back what it wrote of %d', timeMs => {
    const change = { id: 'c', timeMs, entity: 'a', kind: 'restart', ref: '', untilMs: timeMs - 60_000 }
    expect(changeOf(JSON.parse(changeLine(change)))).toEqual(change)
  })

  it.each([
    [[], /object/],
    [{ entity: 'a', kind: 'deploy' }, /"time"/],
    [{ time: 'soon', entity: 'a', kind: 'deploy' }, /"time"/],
    [{ time: Number.POSITIVE_INFINITY, entity: 'a', kind: 'deploy' }, /"time"/],
    [{ time: 8.64e15 + 1, entity: 'a', kind: 'deploy' }, /"time"/],
    [{ time: 'Nov 20 2026', entity: 'a', kind: 'deploy' }, /"time"/],
    [{ time: 1, entity: '', kind: 'deploy' }, /"entity"/],
    [{ time: 1, entity: 'a', kind: 'Deploy It' }, /"kind"/],
    [{ time: 1, entity: 'a', kind: 'deploy', ref: 7 }, /"ref"/],
    [{ time: 1, entity: 'a', kind: 'deploy', until: 'later' }, /"until"/],
    [{ time: 1, entity: 'a', kind: 'deploy', until: 1e300 }, /"until"/],
    [{ time: 1, entity: 'a', kind: 'deploy', id: '' }, /"id"/],
  ])('names what is wrong in %j', (value, reason) => {
    expect(changeOf(value)).toMatch(reason)
  })
})
