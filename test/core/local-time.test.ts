// Shows that local time follows a zone's clocks through their changes, against moments written down by hand: the hour
// that is skipped, the one that comes twice, half-hour changes, and back from local time to moments.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isZone, LocalTime } from '../../src/core/local-time.ts'

const iso = (ms: number) => new Date(ms).toISOString().slice(0, 16)
const HOUR = 3_600_000

describe('local time', () => {
  it('skips an hour in spring and has one twice in autumn', () => {
    const berlin = new LocalTime('Europe/Berlin')
    const at = (text: string) => iso(berlin.localMs(Date.parse(text)))
    expect(at('2026-03-29T00:59:59Z')).toBe('2026-03-29T01:59')
    expect(at('2026-03-29T01:00:00Z')).toBe('2026-03-29T03:00')
    expect(at('2026-10-25T00:30:00Z')).toBe('2026-10-25T02:30')
    expect(at('2026-10-25T01:30:00Z')).toBe('2026-10-25T02:30')
  })

  it('takes the first of two moments, and a skipped time as if clocks had not moved', () => {
    const berlin = new LocalTime('Europe/Berlin')
    expect(iso(berlin.momentOf(Date.UTC(2026, 9, 25, 2, 30)))).toBe('2026-10-25T00:30')
    expect(iso(berlin.momentOf(Date.UTC(2026, 2, 29, 2, 30)))).toBe('2026-03-29T01:30')
    const york = new LocalTime('America/New_York')
    expect(iso(york.momentOf(Date.UTC(2026, 10, 1, 1, 30)))).toBe('2026-11-01T05:30')
    expect(iso(york.momentOf(Date.UTC(2026, 2, 8, 2, 30)))).toBe('2026-03-08T07:30')
  })

  it('knows zones of half hours and of quarters', () => {
    expect(new LocalTime('Asia/Kathmandu').offsetMs(Date.UTC(2026, 0, 1))).toBe(5.75 * HOUR)
    const howe = new LocalTime('Australia/Lord_Howe')
    expect(howe.offsetMs(Date.UTC(2026, 0, 1)) - howe.offsetMs(Date.UTC(2026, 6, 1))).toBe(HOUR / 2)
  })

  it('comes back from every local time that it gives', () => {
    const zones = ['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'America/St_Johns', 'UTC']
    fc.assert(
      fc.property(
        fc.constantFrom(...zones),
        fc.integer({ min: Date.UTC(2000, 0), max: Date.UTC(2037, 0) }),
        (zone, ms) => {
          const clock = new LocalTime(zone)
          const local = clock.localMs(ms)
          const back = clock.momentOf(local)
          // The same moment, or the first of two that show the same.
          expect(clock.localMs(back)).toBe(local)
          expect(ms - back === 0 || ms - back === HOUR || ms - back === HOUR / 2).toBe(true)
        },
      ),
    )
  })

  it('tells zones from other words', () => {
    expect(['UTC', 'Europe/Berlin', 'Etc/UTC'].map(isZone)).toEqual([true, true, true])
    expect(['', 'Europe/Atlantis', 'W. Europe Standard Time'].map(isZone)).toEqual([false, false, false])
  })
})
