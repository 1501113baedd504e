// Shows experiments on the running program with real ONNX models: a champion that sees nothing meets a challenger that
// reads how far a value is out. Verdicts over HTTP promote it, across a kill and a restart in between; a challenger that
// has no number for half of the windows is withdrawn by a guardrail within seconds; and every step stands in the record.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import type { ExperimentReport } from '../../src/core/experiment.ts'
import { foreshock } from './command.ts'
import { type Bump, ModelFleet, post, push } from './model-fleet.ts'
import { getJson, type RunningService, remove, startForeshock, until } from './service.ts'

const CONFIG = { features: { step: '1s', idle: '5m' }, log: { level: 'info' } }
const SECONDS_MAX = 60_000

let service: RunningService | undefined
afterEach(async () => {
  await service?.stop()
  if (service) remove(service.folder)
  service = undefined
})

const PLAN = {
  model: 'bump-detector',
  unitSeconds: 10,
  alertsPerSeriesWeek: 4000,
  autoPromote: true,
  probationSeconds: 2,
}
const labelsOf = (bumps: readonly Bump[]) =>
  bumps.map(({ entity, from, to }) => ({ entity, from, to, kind: 'anomalous' }))
const championOf = async (url: string) =>
  (await getJson<{ live: { champion: { version: number } } | null }>(`${url}/api/models/bump-detector`)).live
    ?.champion.version

/** Actions of the audit trail, as the record on disk has them. */
function audited({ folder }: RunningService): string[] {
  const dir = join(folder, 'data', 'record')
  const lines = readdirSync(dir).flatMap(name => readFileSync(join(dir, name), 'utf8').split('\n'))
  return lines.flatMap(line => /"action":"((?:experiment|model)\.[a-z]+)"/.exec(line)?.[1] ?? [])
}

describe('an experiment on a running service', () => {
  it(
    'promotes a challenger that verdicts show to be better, though the service is killed in between',
    async () => {
      service = await startForeshock(CONFIG)
      const fleet = new ModelFleet(1, 3000)
      await push(service.url, 1, 'noise')
      await push(service.url, 2, 'deviation')
      await fleet.tell(service.url, 120)
      await post(`${service.url}/api/models/bump-detector/promote`, { version: 1 })
      const { id } = await post<ExperimentReport>(`${service.url}/api/experiments`, {
        ...PLAN,
        challenger: 2,
      })
      const bumps = await fleet.tell(service.url, 300, true)
      const first = await post<{ taken: number }>(`${service.url}/api/experiments/${id}/labels`, {
        labels: labelsOf(bumps.slice(0, 3)),
      })
      expect(first.taken).toBe(3)
      const { folder } = service
      await service.kill()
      service = await startForeshock(CONFIG, folder)
      const resumed = await getJson<ExperimentReport>(`${service.url}/api/experiments/${id}`)
      expect(resumed).toMatchObject({ status: 'running', labels: 3, series: 12 })
      expect(resumed.windows).toBeGreaterThan(250)
      bumps.push(...(await fleet.tell(service.url, 300, true)))
      await post(`${service.url}/api/experiments/${id}/labels`, { labels: labelsOf(bumps.slice(3)) })
      const { url } = service
      const report = await until('the promotion', async () => {
        const one = await getJson<ExperimentReport>(`${url}/api/experiments/${id}`)
        return ['running', 'ending', 'probation'].includes(one.status) ? undefined : one
      })
      expect(report).toMatchObject({ status: 'promoted', verdict: { better: 'challenger' } })
      expect(report.verdict.anomalous.detected.challenger).toBeGreaterThan(
        2 * report.verdict.anomalous.detected.champion,
      )
      expect(await championOf(url)).toBe(2)
      const shown = await foreshock(['experiments', 'status', id, '--url', url])
      expect(shown.out.toString()).toContain('promoted: the challenger is better')
      expect(audited(service)).toEqual(
        expect.arrayContaining([
          'model.promote',
          'experiment.start',
          'model.shadow',
          'experiment.label',
          'experiment.promoted',
        ]),
      )
    },
    SECONDS_MAX,
  )

  it(
    'withdraws a challenger that fails, by itself, and the champion speaks on',
    async () => {
      service = await startForeshock(CONFIG)
      const fleet = new ModelFleet(2, 3000)
      await push(service.url, 1, 'deviation')
      await push(service.url, 2, 'nan')
      await fleet.tell(service.url, 120)
      await post(`${service.url}/api/models/bump-detector/promote`, { version: 1 })
      const plan = { ...PLAN, challenger: 2, mode: 'canary', share: 0.5 }
      const { id } = await post<ExperimentReport>(`${service.url}/api/experiments`, plan)
      await fleet.tell(service.url, 60, true)
      const { url } = service
      const report = await until('the guardrail', async () => {
        const one = await getJson<ExperimentReport>(`${url}/api/experiments/${id}`)
        return ['running', 'ending'].includes(one.status) ? undefined : one
      })
      expect(report).toMatchObject({ status: 'withdrawn' })
      expect(report.reason).toMatch(/^the challenger fails: \d+ of \d+ rows without an answer/)
      const model = await getJson<{ live: { champion: { version: number }; challenger: unknown } }>(
        `${url}/api/models/bump-detector`,
      )
      expect(model.live).toMatchObject({ champion: { version: 1 }, challenger: null })
      expect(service.logged()).toContain('experiment withdrawn: the challenger fails')
      const metrics = await (await fetch(`${url}/metrics`)).text()
      expect(metrics).toContain('foreshock_experiment_events_total{what="withdrawn"} 1')
      expect(audited(service)).toContain('experiment.withdrawn')
    },
    SECONDS_MAX,
  )
})
