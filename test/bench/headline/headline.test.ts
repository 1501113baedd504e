// Shows that the headline run's verdict counts what was found, missed and false, that its configuration can be laid over,
// and that the sender sends: a small fleet over HTTP into the real intake behind a plain server, with churn and every sample
// in its place.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type FaultPlan, faultsOf, fleetOf, METRICS } from '../../../bench/headline/fleet.ts'
import {
  configOf,
  cpuNsOf,
  type HeadlineOptions,
  type HeadlineResult,
  stateBytesOf,
} from '../../../bench/headline/headline.ts'
import { markdownOf, textOf } from '../../../bench/headline/report.ts'
import type { SendPlan, Told } from '../../../bench/headline/sender.ts'
import { verdictOf } from '../../../bench/headline/verdict.ts'
import { parseConfig } from '../../../src/config.ts'
import { Rejects } from '../../../src/core/rejects.ts'
import { SeriesTable } from '../../../src/core/series.ts'
import { IngestIntake } from '../../../src/ingest/intake.ts'

const START = 1_790_000_000_000
const STEP = 15_000
const fault = (entity: string): FaultPlan => ({ service: 0, entity, kind: 'slow', from: 10, to: 20 })
const told = (entity: string, atStep: number, entities: readonly string[] = [entity]) => ({
  entity,
  entities,
  startedAt: new Date(START + atStep * STEP).toISOString(),
  detectedAt: new Date(START + atStep * STEP).toISOString(),
})
const OPTIONS: HeadlineOptions = {
  series: 2000,
  stepS: 15,
  minutes: 1,
  churn: 0.1,
  seed: 7,
  faults: true,
  bodySeries: 500,
  connections: 2,
  paceS: 0,
  set: [],
  node: [],
  folder: undefined,
}

describe('the verdict', () => {
  it('counts what was found, by cause or by company, missed and false', () => {
    const verdict = verdictOf(
      [fault('a'), fault('b'), fault('c')],
      [told('a', 12), told('a', 11), told('x', 13, ['x', 'b']), told('y', 14), told('c', 3)],
      { startMs: START, stepMs: STEP },
    )
    expect(verdict).toMatchObject({
      faults: 3,
      found: 2,
      missed: ['c'],
      falseAlarms: 2,
      falseEntities: ['y', 'c'],
    })
    expect(verdict.delayS).toEqual([45, 45])
  })

  it('is of nothing when nothing was told', () => {
    const verdict = verdictOf([fault('a')], [], { startMs: START, stepMs: STEP })
    expect(verdict).toMatchObject({ found: 0, missed: ['a'], falseAlarms: 0, delayS: undefined })
  })
})

describe('the configuration of the headline run', () => {
  it('is one that the service takes, with what is laid over it', () => {
    const set = ['checkpoint.every=1h', 'detection.profile=none', 'ingest.maxSeries=7', 'features.idle="2h"']
    const config = parseConfig(configOf({ ...OPTIONS, set }))
    expect(config.checkpoint.every).toBe(3_600_000)
    expect(config.detection.profile).toBe('none')
    expect(config.ingest.maxSeries).toBe(7)
    expect(config.features).toMatchObject({ step: 15_000, idle: 7_200_000, lateness: 5000 })
  })
})

describe('the sender', () => {
  it('sends every series once a step, with pods replaced, and repeats what is not taken', async () => {
    const series = new SeriesTable()
    const rejects = new Rejects()
    const intake = new IngestIntake({}, { series, rejects })
    const perStep = new Map<number, number>()
    let refusals = 0
    const server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', chunk => chunks.push(chunk))
      request.on('end', () => {
        if (refusals++ % 5 === 2) {
          response.writeHead(503).end('later')
          return
        }
        const bytes = Buffer.concat(chunks)
        const envelope = { kind: 'remote-write-1', encoding: 'snappy', tenant: 'default' } as const
        intake.decode({ ...envelope, arrivalMs: START + 1e6, bytes }, batch => {
          for (let i = 0; i < batch.length; i++) {
            const step = Math.floor((batch.timeMs[i] - START) / STEP)
            perStep.set(step, (perStep.get(step) ?? 0) + 1)
          }
        })
        response.writeHead(204).end()
      })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const plan: SendPlan = {
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      series: OPTIONS.series,
      steps: 4,
      stepMs: STEP,
      startMs: START,
      bodySeries: OPTIONS.bodySeries,
      connections: OPTIONS.connections,
      churn: OPTIONS.churn,
      seed: OPTIONS.seed,
      faults: OPTIONS.faults,
      paceMs: 0,
    }
    const child = fork(
      resolve(import.meta.dirname, '../../../bench/headline/sender.ts'),
      [JSON.stringify(plan)],
      {
        execArgv: ['--import', 'tsx'],
      },
    )
    const heard: Told[] = []
    child.on('message', message => heard.push(message as Told))
    const [code] = (await once(child, 'exit')) as [number]
    server.close()
    expect(code).toBe(0)
    const fleet = fleetOf(OPTIONS.series)
    const steps = heard.filter(one => one.kind === 'step')
    // Of one service nothing is heard from the third step on.
    const silent = faultsOf(fleet, plan.steps).filter(({ kind }) => kind === 'silent')
    expect(silent).toMatchObject([{ from: 2, to: 4 }])
    const unheard = (fleet.series / fleet.services) * silent.length
    expect(steps.map(({ step, samples }) => [step, samples])).toEqual(
      [0, 1, 2, 3].map(t => [t, t < 2 ? fleet.series : fleet.series - unheard]),
    )
    expect(steps.reduce((sum, one) => sum + one.retried, 0)).toBeGreaterThan(0)
    expect(steps.every(one => one.refused === 0)).toBe(true)
    // A tenth of forty pods a minute, a step being a quarter of one.
    expect(steps.map(one => one.replaced)).toEqual([0, 1, 1, 1].map(pods => pods * METRICS.length))
    expect(rejects.counts()).toEqual({})
    // Rates need two samples of a counter, so new pods have gauges only.
    const counters = METRICS.filter(({ counter }) => counter).length
    expect(perStep.get(0)).toBe(fleet.pods * (METRICS.length - counters))
    for (const t of [1, 2, 3]) expect(perStep.get(t)).toBe(fleet.series - counters - (t < 2 ? 0 : unheard))
    expect(heard.at(-1)?.kind).toBe('done')
  })
})

describe('the report', () => {
  it('tells CPU a sample and what was missed, as text and as a section', () => {
    const steps = [4, 2, 1, 1].map((cpuS, step) => ({
      step,
      wallS: 2 * cpuS,
      cpuS,
      senderCpuS: 0.1,
      rss: 2 ** 30,
      retried: 0,
    }))
    const result: HeadlineResult = {
      fleet: { series: 1e6, pods: 20_000, services: 1000 },
      options: OPTIONS,
      config: {},
      steps,
      samples: 4e6,
      rssPeak: 9 * 2 ** 30,
      readyMs: 500,
      bytesSent: 4e6 * 30,
      diskPeak: 2 ** 30,
      diskEnd: 2 ** 29,
      retried: 1,
      refused: 0,
      firstRefusal: '',
      answerMs: [5, 50, 1500],
      distinct: 1_010_000,
      held: 1_009_000,
      rejects: 0,
      anomaliesOpen: 3,
      stateBytes: stateBytesOf('foreshock_state_bytes{part="intake"} 2e8\nnodejs_heap_size_used_bytes 1e9\n'),
      verdict: verdictOf([fault('a'), fault('b')], [told('a', 12)], { startMs: START, stepMs: STEP }),
      disruptions: [told('a', 12)],
    }
    expect(cpuNsOf(result)).toEqual({ all: 2000, steady: 1000 })
    const text = textOf(result)
    expect(text).toMatch(/1 of 2 found.*missed: b/)
    expect(text).toContain('intake 200, V8 heap 1000')
    expect(text).toContain('more than 8 GiB')
    expect(text).toContain('1000 evicted')
    const head = { title: 'Headline: x', command: 'c', date: 'd', commit: 'e', machine: 'm', load: 'l' }
    expect(markdownOf(result, head)).toMatch(/^## Headline: x\n[\s\S]*\| faults \| 1 of 2 found/)
  })
})
