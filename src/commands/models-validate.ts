import { resolve } from 'node:path'
import type { Command } from 'commander'
import { ForeshockError } from '../core/errors.ts'
import { openHost } from '../detectors/model-host.ts'
import type { ProbeReport } from '../detectors/model-probe.ts'

/** Tries the package in `folder` as the service would. Throws FS_MODEL_INVALID with the file and the reason. */
export async function validateModel(folder: string): Promise<ProbeReport> {
  const host = openHost()
  try {
    return await host.check(resolve(folder))
  } finally {
    await host.close()
  }
}

/** Adds `validate` to the group `models`. */
export function addModelsValidate(models: Command): void {
  models
    .command('validate <folder>')
    .description(
      'tries a model package in a process of its own: digest, operators, shapes, golden outputs, budget',
    )
    .option('--json', 'print JSON')
    .action(async (folder: string, options: { json?: boolean }) => {
      try {
        const report = await validateModel(folder)
        process.stdout.write(
          options.json ? `${JSON.stringify(asJson(folder, report))}\n` : asText(folder, report),
        )
      } catch (error) {
        if (!options.json || !(error instanceof ForeshockError)) throw error
        const { code, message } = error
        process.stdout.write(`${JSON.stringify({ ok: false, folder, code, message })}\n`)
        process.exitCode = code === 'FS_MODEL_INVALID' ? 2 : 1
      }
    })
}

function asJson(folder: string, { card, proof, isProven, megabytes }: ProbeReport) {
  const { id, version, format, task, digest } = card
  return { ok: true, folder, id, version, format, task, digest, ...proof, isProven, megabytes }
}

function asText(folder: string, { card, proof, isProven, megabytes }: ProbeReport): string {
  const { budget, input, output } = card
  const elsewhere = isProven ? '' : '; the runtime it was made for is not here'
  return [
    `${folder}: ${card.id} ${card.version}, ${card.format}, ${card.task}, ${input.width} to ${output.width} columns`,
    `  runs in ${proof.runtime}; golden outputs within ${proof.parity.toExponential(1)}${elsewhere}`,
    `  ${proof.msPer256Rows.toFixed(3)} ms for 256 rows (budget ${budget.msPer256Rows}), ` +
      `${megabytes.toFixed(0)} MB besides the runtime (budget ${budget.megabytes})`,
    '',
  ].join('\n')
}
