// Shows maintenance windows in the stage: a fault inside is recorded and held, an end of the window tells what goes on
// as opened, overlapping windows hold until the last is over, a fault that reaches further is told, what was told
// before is told to its end, and a restart in between changes nothing.
import { describe, expect, it } from 'vitest'
import { Schedule } from '../../src/core/calendar.ts'
import type { MaintenanceWindow } from '../../src/core/maintenance.ts'
import { Maintenance } from '../../src/disruptions/maintenance.ts'
import { calm, START_MS, SyntheticFleet, type Weather } from './synthetic.ts'

const STEP_MS = 1000
const windowOf = (id: string, entities: string[], fromMs: number, toMs: number): MaintenanceWindow => ({
  id,
  name: id,
  tenant: 'default',
  entities,
  times: { zone: 'UTC', startMs: fromMs, nominalMs: toMs - fromMs, exactMs: 0 },
  by: 'test',
})
const slow = (): Weather => {
  const weather = calm()
  weather.slow.payments = 0.3
  return weather
}

function play(windows: (faultMs: number, stepMs: number) => MaintenanceWindow[], restart = false) {
  const fleet = new SyntheticFleet(1)
  fleet.run(150)
  const faultMs = fleet.nowMs
  for (const window of windows(faultMs, STEP_MS)) fleet.bench.stage.maintain({ op: 'add', window }, faultMs)
  if (restart) {
    const saved = structuredClone(fleet.bench.stage.snapshot())
    fleet.bench.stage = fleet.bench.fresh()
    fleet.bench.stage.restore(saved)
  }
  fleet.run(60, slow())
  fleet.run(60)
  const events = fleet.bench.events.filter(event => event.timeMs > faultMs)
  return { fleet, faultMs, events, told: events.filter(event => event.held === undefined) }
}

describe('maintenance', () => {
  it('records what falls inside and tells nobody, not even its end', () => {
    const { events, told } = play(at => [windowOf('w', ['*'], at, at + 7_200_000)])
    expect(events.map(event => event.type)).toContain('opened')
    expect(events.at(-1)?.type).toBe('resolved')
    expect(events.every(event => event.disruption.maintenance?.[0] === 'w')).toBe(true)
    expect(told).toEqual([])
  })

  it('tells what outlasts the last of overlapping windows, as opened', () => {
    const { told, events } = play((at, step) => [
      windowOf('a', ['*'], at, at + 15 * step),
      windowOf('b', ['*'], at + 10 * step, at + 30 * step),
    ])
    expect(events[0].held).toBe(true)
    expect(told[0].type).toBe('opened')
    expect(told[0].disruption.maintenance).toBeUndefined()
    expect(told[0].disruption.revision).toBeGreaterThan(1)
    const lateness = (told[0].timeMs - events[0].timeMs) / STEP_MS
    expect(lateness).toBeGreaterThan(15)
    expect(told.at(-1)?.type).toBe('resolved')
  })

  it('tells of a fault that reaches beyond what is covered', () => {
    const { told } = play(at => [windowOf('w', ['payments'], at, at + 7_200_000)])
    expect(told.some(event => event.type === 'opened')).toBe(true)
  })

  it('tells the end of what was told before it began, and shows meanwhile that it is covered', () => {
    const fleet = new SyntheticFleet(1)
    fleet.run(150)
    fleet.run(10, slow())
    const window = windowOf('w', ['*'], fleet.nowMs, fleet.nowMs + 7_200_000)
    expect(fleet.bench.stage.board()[0].maintenance).toBeUndefined()
    fleet.bench.stage.maintain({ op: 'add', window }, fleet.nowMs)
    expect(fleet.bench.stage.board()[0]).toMatchObject({ status: 'open', maintenance: ['w'] })
    const worse = slow()
    worse.errors.inventory = 0.5
    worse.cpu.search = 3
    fleet.run(80, worse)
    fleet.run(60)
    const after = fleet.bench.events.filter(event => event.timeMs > window.times.startMs)
    const own = fleet.bench.events[0].disruption.id
    expect(after.some(event => event.held)).toBe(true)
    expect(after.every(event => event.held || event.disruption.id === own)).toBe(true)
    const end = after.filter(event => event.disruption.id === own).at(-1)
    expect(end?.type).toBe('resolved')
    expect(end?.held).toBeUndefined()
  })

  it('ends with its removal, by its own tenant only', () => {
    const maintenance = new Maintenance()
    const window = windowOf('w', ['*'], START_MS, START_MS + 1000)
    expect(maintenance.follow({ op: 'add', window }, START_MS)).toBeUndefined()
    expect(maintenance.holds('default', ['x'], START_MS)).toEqual(['w'])
    expect(maintenance.holds('other', ['x'], START_MS)).toEqual([])
    expect(maintenance.follow({ op: 'remove', id: 'w', tenant: 'other' }, START_MS)).toMatch(/no live window/)
    expect(maintenance.follow({ op: 'remove', id: 'w', tenant: 'default' }, START_MS)).toBeUndefined()
    expect(maintenance.holds('default', ['x'], START_MS)).toEqual([])
    expect(new Schedule(window.times).isOn(START_MS + 1000, START_MS + 2000)).toBe(false)
  })

  it('makes room by what is over, and refuses what it cannot read', () => {
    const maintenance = new Maintenance()
    const add = (id: string, zone = 'UTC') => {
      const window = windowOf(id, ['*'], START_MS, START_MS + 1000)
      const order = { op: 'add', window: { ...window, times: { ...window.times, zone } } } as const
      return (nowMs: number) => maintenance.follow(order, nowMs)
    }
    for (let i = 0; i < 1000; i++) expect(add(`w${i}`)(START_MS)).toBeUndefined()
    expect(add('more')(START_MS)).toMatch(/more than 1000/)
    // Two days on all of them are over, though they are still shown.
    expect(maintenance.list(START_MS + 2 * 86_400_000)).toHaveLength(1000)
    expect(add('more')(START_MS + 2 * 86_400_000)).toBeUndefined()
    expect(add('far', 'Moon/Tycho')(START_MS)).toMatch(/far cannot be read/)
    // A checkpoint of a process that knew of another zone.
    const saved = windowOf('saved', ['*'], START_MS, START_MS + 1000)
    maintenance.restore([{ ...saved, times: { ...saved.times, zone: 'Moon/Tycho' } }, saved])
    expect(maintenance.saved()).toEqual([saved])
  })

  it('is the same after a restart', () => {
    const windows = (at: number, step: number) => [windowOf('a', ['*'], at, at + 20 * step)]
    expect(play(windows, true).events).toEqual(play(windows).events)
  })
})
