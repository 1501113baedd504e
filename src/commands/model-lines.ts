import type { z } from 'zod'
import type { modelSchema, modelWithHistory } from '../serve/model-body.ts'

type Model = z.output<typeof modelSchema>

const ref = (of: { version: number } | null) => (of === null ? '-' : String(of.version))

function challengerText({ challenger }: Model): string {
  if (challenger === null) return '-'
  const share = challenger.mode === 'canary' ? ` ${Math.round(100 * challenger.share)} %` : ''
  return `${challenger.version} ${challenger.mode}${share}`
}

/** One line a model. */
export function modelsTable(items: readonly Model[]): string[] {
  if (items.length === 0) return ['no models; foreshock models push FOLDER']
  const rows = items.map(one => [
    one.model,
    ref(one.champion),
    challengerText(one),
    ref(one.previous),
    one.versions.map(({ version }) => version).join(' '),
    one.live === null ? '-' : `${one.live.champion?.rows ?? 0} rows${one.live.problem ? ', PROBLEM' : ''}`,
  ])
  const table = [['model', 'champion', 'challenger', 'previous', 'versions', 'scored'], ...rows]
  const widths = table[0].map((_, column) => Math.max(...table.map(row => row[column].length)))
  return table.map(row =>
    row
      .map((cell, column) => cell.padEnd(widths[column]))
      .join('  ')
      .trimEnd(),
  )
}

/** How a model stands and does. */
export function modelLines(model: Model): string[] {
  const { live } = model
  const lines = [
    `${model.model}: champion ${ref(model.champion)}, challenger ${challengerText(model)}, previous ${ref(model.previous)}`,
  ]
  for (const [name, use] of [
    ['champion', live?.champion],
    ['challenger', live?.challenger],
  ] as const) {
    if (!use) continue
    const time = `${use.msPerRow.toFixed(4)} ms a row, ${use.msMax.toFixed(1)} ms the longest`
    lines.push(`  ${name} ${use.version}: ${use.rows} window rows scored, ${use.failed} passed over, ${time}`)
  }
  if (live) lines.push(`  looks at ${live.covered} series or entities, no room for ${live.refused}`)
  if (live?.problem !== undefined) lines.push(`  PROBLEM ${live.problem}`)
  for (const one of model.versions)
    lines.push(`  version ${one.version}: ${one.title} (${one.task}, ${one.format}, ${one.source})`)
  return lines
}

/** What ran when, newest first. */
export function historyLines({ history }: z.output<typeof modelWithHistory>): string[] {
  return history.map(line => {
    const what = [line.op, line.version, line.share === null ? null : `${Math.round(100 * line.share)} %`]
    const why = line.why === null ? '' : `: ${line.why}`
    const spoke = `champion ${line.champion?.version ?? 'none'}`
    return `  ${line.time} ${what.filter(word => word !== null).join(' ')} by ${line.by}, ${spoke}${why}`
  })
}
