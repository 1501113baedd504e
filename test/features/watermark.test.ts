// Shows that the log of open windows holds every sample at the time it bears, however long a window is and however its samples lie in
// it: whole milliseconds, far from the window's start, fractions, by turns in several windows, and over many batches.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { sampleBatch } from '../../src/core/batch.ts'
import { SampleLog, timeAt } from '../../src/features/sample-log.ts'
import { eventClock, nothingLost, sift } from '../../src/features/watermark.ts'

const FROM_MS = 1_699_999_800_000

const offsets = (stepMs: number) =>
  fc.oneof(
    fc.integer({ min: 0, max: 3 * stepMs }),
    fc.constantFrom(0, 65_535, 65_536, 65_537, 131_072, stepMs - 1),
    fc.double({ min: 0, max: stepMs, noNaN: true }),
  )

it.each([10_000, 65_536, 300_000])('holds every sample of a window of %i ms at its time', stepMs => {
  fc.assert(
    fc.property(fc.array(fc.array(offsets(stepMs), { maxLength: 40 }), { maxLength: 6 }), batches => {
      const log = new SampleLog(stepMs)
      const clock = eventClock()
      const lost = nothingLost()
      const put: [series: number, timeMs: number, value: number][] = []
      for (const times of batches) {
        const batch = sampleBatch(64)
        for (const [i, ms] of times.entries()) {
          batch.series[i] = put.length
          batch.timeMs[i] = FROM_MS + ms
          batch.value[i] = i
          put.push([put.length, FROM_MS + ms, i])
        }
        batch.length = times.length
        const limits = {
          stepMs: stepMs,
          latenessMs: 10 * stepMs,
          idleMs: 60_000,
          futureLimitMs: 1e9,
          openSamplesMax: 1e6,
          openWindowsMax: 1e6,
        }
        sift(batch, FROM_MS + 4 * stepMs, log, clock, limits, lost)
      }
      const held: typeof put = []
      for (const { startMs, chunks, length } of log.windows()) {
        expect(chunks.reduce((sum, chunk) => sum + chunk.length, 0)).toBe(length)
        for (const chunk of chunks)
          for (let i = 0; i < chunk.length; i++)
            held.push([chunk.series[i], timeAt(chunk, startMs, i), chunk.value[i]])
      }
      expect(held.sort(([a], [b]) => a - b)).toEqual(put)
      expect(log.length).toBe(put.length)
      expect(lost).toEqual(nothingLost())
    }),
  )
})
