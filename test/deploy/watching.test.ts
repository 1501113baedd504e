// Shows that what watches Foreshock in deploy/ speaks of metrics that Foreshock has: every name in the dashboard, the
// alert rules, their tests and KEDA's query is in the registry; promtool accepts the rules, and its rule tests show when
// each fires and when it does not; every alert has both, and a runbook that speaks of it.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { METRICS } from '../../src/core/metric-catalogue.ts'
import { Telemetry } from '../../src/core/telemetry.ts'
import { INGEST_PATHS } from '../../src/serve/ingest-answers.ts'
import { peerPath } from '../peers/peers.ts'
import { DEPLOY, ROOT, text, yaml } from './files.ts'

interface Rules {
  readonly groups: readonly {
    readonly rules: readonly {
      readonly alert: string
      readonly expr: string
      readonly labels: Readonly<Record<string, string>>
      readonly annotations: Readonly<Record<string, string>>
    }[]
  }[]
}
interface RuleTests {
  readonly tests: readonly {
    readonly input_series: readonly { readonly series: string }[]
    readonly alert_rule_test: readonly {
      readonly alertname: string
      readonly exp_alerts: readonly unknown[]
    }[]
  }[]
}
interface Dashboard {
  readonly uid: string
  readonly panels: readonly {
    readonly id: number
    readonly type: string
    readonly title: string
    readonly gridPos: { readonly h: number; readonly w: number; readonly x: number; readonly y: number }
    readonly targets?: readonly { readonly expr: string }[]
  }[]
}

const rules = yaml<Rules>('prometheus/alerts.yaml').groups.flatMap(group => group.rules)
const tests = yaml<RuleTests>('prometheus/alerts.test.yaml').tests
const dashboard = JSON.parse(text('grafana/dashboards/foreshock.json')) as Dashboard
const queries = dashboard.panels.flatMap(panel => panel.targets?.map(target => target.expr) ?? [])
const lag = yaml<{ spec: { triggers: { metadata: { query?: string } }[] } }>('keda/scorer-lag.yaml')

/** Names that Prometheus makes itself of every target. */
const OF_PROMETHEUS = ['up']

/** Words before a selector, or alone: names of metrics are the only ones with an underscore and no bracket after. */
function metricNames(expression: string): string[] {
  const bare = expression
    .replaceAll(/"[^"]*"/g, '""')
    .replaceAll(/\b(?:by|on|ignoring|group_left|group_right|without)\s*\([^)]*\)/g, ' ')
    .replaceAll(/\{[^}]*\}/g, ' ')
    .replaceAll(/\[[^\]]*\]/g, ' ')
  return [...bare.matchAll(/\b([a-z]\w*)\b(?!\s*\()/g)]
    .map(([, name]) => name)
    .filter(name => name.includes('_') || OF_PROMETHEUS.includes(name))
    .filter(name => !name.startsWith('group_'))
}

/** Of a section that begins with its title. */
const anchorOf = (section: string): string =>
  section
    .slice(0, section.indexOf('\n'))
    .toLowerCase()
    .replaceAll(/[^\w\s-]/g, '')
    .replaceAll(/\s/g, '-')

async function known(): Promise<Set<string>> {
  const exposed = [...(await new Telemetry({ process: true }).text()).matchAll(/^# TYPE (\S+) (\S+)/gm)]
  return new Set([
    ...OF_PROMETHEUS,
    ...exposed.flatMap(([, name, type]) =>
      type === 'histogram' ? ['_bucket', '_count', '_sum'].map(end => name + end) : [name],
    ),
  ])
}

describe('names of metrics', () => {
  it.each([
    ['the dashboard', queries, 30],
    ['the alert rules', rules.map(rule => rule.expr), 10],
    ['the series of their tests', tests.flatMap(test => test.input_series.map(({ series }) => series)), 20],
    ['what KEDA asks', lag.spec.triggers.flatMap(({ metadata }) => metadata.query ?? []), 1],
  ])('in %s are in the registry', async (_where, expressions, least) => {
    const names = expressions.flatMap(metricNames)
    expect(names.length).toBeGreaterThanOrEqual(least)
    const there = await known()
    expect(names.filter(name => !there.has(name))).toEqual([])
  })

  it('carry only labels that the registry gives them', () => {
    const given = ['job', 'instance', 'le']
    for (const expression of [...queries, ...rules.map(rule => rule.expr)]) {
      for (const [, name, selector] of expression.matchAll(/(foreshock_\w+)\{([^}]*)\}/g)) {
        const metric = METRICS[name.replace(/_(?:bucket|count|sum)$/, '') as keyof typeof METRICS]
        const labels = [...selector.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, label]) => label)
        const there: readonly string[] = [...given, ...metric.labels]
        expect(
          labels.filter(label => !there.includes(label)),
          expression,
        ).toEqual([])
      }
    }
  })
})

describe('the alert rules', () => {
  it('are accepted, fire and stay silent as promtool is told', async context => {
    const promtool = await peerPath('promtool', context)
    const folder = join(DEPLOY, 'prometheus')
    for (const args of [
      ['check', 'rules', 'alerts.yaml'],
      ['check', 'config', 'prometheus.yml'],
      ['test', 'rules', 'alerts.test.yaml'],
    ]) {
      const ran = spawnSync(promtool, args, { cwd: folder, encoding: 'utf8' })
      expect(ran.status, `${args.join(' ')}\n${ran.stdout}${ran.stderr}`).toBe(0)
    }
  })

  it('count refusals where samples are taken, and nowhere else', () => {
    const { expr } = rules.find(rule => rule.alert === 'ForeshockRefusesSamples') ?? { expr: '' }
    expect(/route=~"([^"]*)"/.exec(expr)?.[1].split('|')).toEqual(INGEST_PATHS)
  })

  it('are each shown to fire, and not to, and say what to do', () => {
    expect(rules.length).toBeGreaterThanOrEqual(10)
    const shown = tests.flatMap(test => test.alert_rule_test)
    for (const { alert, labels, annotations } of rules) {
      const own = shown.filter(one => one.alertname === alert)
      expect(own.filter(one => one.exp_alerts.length > 0).length, `${alert} fires`).toBeGreaterThan(0)
      expect(['warning', 'critical']).toContain(labels.severity)
      const [path, anchor] = annotations.runbook.split('#')
      expect(existsSync(join(ROOT, path)), annotations.runbook).toBe(true)
      if (anchor === undefined) continue
      const sections = readFileSync(join(ROOT, path), 'utf8').split(/^#+ /m)
      const led = sections.find(section => anchorOf(section) === anchor)
      expect(led, `${alert}: ${annotations.runbook} speaks of it`).toContain(`\`${alert}\``)
    }
    const quiet = tests[0].alert_rule_test
      .filter(one => one.exp_alerts.length === 0)
      .map(one => one.alertname)
    const left = rules.map(rule => rule.alert).filter(alert => !quiet.includes(alert))
    expect(left).toEqual(['ForeshockBudgetMissed'])
  })
})

it('the dashboard has panels that do not overlap, with ids of their own', () => {
  const ids = dashboard.panels.map(panel => panel.id)
  expect(new Set(ids).size).toBe(ids.length)
  const cells = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, i) => `${x + (i % w)}/${y + Math.floor(i / w)}`),
  )
  expect(new Set(cells).size).toBe(cells.length)
  expect(dashboard.panels.filter(panel => panel.type !== 'row' && !panel.targets?.length)).toEqual([])
})
