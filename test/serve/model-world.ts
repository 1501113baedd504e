// Models for tests of the HTTP service: the real registry, ledger, desk and threads, over packages with real ONNX models.
// The pipeline's part is played by the rule that says who is who after an order.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EMPTY_RECEIPT, type Envelope } from '../../src/core/envelope.ts'
import type { ModelOrder, ModelState, ModelVersion } from '../../src/core/model.ts'
import { afterOrder, NO_STANDING, type Standing, type StoredVersion } from '../../src/core/model-standing.ts'
import { batched } from '../../src/detectors/model-batcher.ts'
import { openHost, type ProbingHost } from '../../src/detectors/model-host.ts'
import { RegistryDesk } from '../../src/model-desk.ts'
import type { ServedModel } from '../../src/serve/deps.ts'
import { ModelLedger } from '../../src/store/model-ledger.ts'
import { ModelRegistry } from '../../src/store/model-registry.ts'
import { writePackage } from '../detectors/model-packages.ts'
import { linearModel } from '../detectors/onnx-builder.ts'
import { inPieces, PACKAGE_FILES, tarOf } from '../store/model-packages.ts'

/** Plays the pipeline: carries orders out, or refuses them. */
export class Stage {
  readonly standings = new Map<string, Standing>()
  readonly envelopes: Envelope[] = []
  refuses: string | undefined
  fails: Error | undefined

  async submit(envelope: Envelope) {
    if (this.fails) throw this.fails
    this.envelopes.push(envelope)
    if (this.refuses !== undefined) return { ...EMPTY_RECEIPT, rejected: 1, reasons: [this.refuses] }
    const order = JSON.parse(Buffer.from(envelope.bytes).toString()) as ModelOrder
    const next = afterOrder(this.standings.get(order.model) ?? NO_STANDING, order)
    if (typeof next === 'string') return { ...EMPTY_RECEIPT, rejected: 1, reasons: [next] }
    this.standings.set(order.model, next)
    return { ...EMPTY_RECEIPT, samples: 1 }
  }

  live(): ModelState[] {
    const use = ({ version, digest }: ModelVersion) => ({
      version,
      digest,
      rows: 7,
      failed: 1,
      msPerRow: 0.1,
      msMax: 3,
    })
    return [...this.standings]
      .filter(([, { champion, challenger }]) => champion ?? challenger)
      .map(([model, { champion, previous, challenger }]) => ({
        model,
        champion: champion && use(champion),
        previous,
        challenger: challenger && { ...use(challenger), mode: challenger.mode, share: challenger.share },
        covered: 3,
        refused: 0,
      }))
  }
}

export interface ModelWorld {
  readonly root: string
  readonly registry: ModelRegistry
  readonly ledger: ModelLedger
  readonly stage: Stage
  readonly desk: RegistryDesk
  readonly host: ProbingHost
  readonly prepared: string[]
  readonly audits: { who: string; action: string; detail: unknown }[]
  readonly warnings: string[]
  /** Lets `prepare` fail. */
  failure: Error | undefined
  open(stored: StoredVersion): Promise<ServedModel>
  close(): Promise<void>
}

export async function modelWorld(
  root = mkdtempSync(join(tmpdir(), 'foreshock-models-')),
  stage = new Stage(),
): Promise<ModelWorld> {
  const dir = join(root, 'models')
  const warnings: string[] = []
  const warn = (text: string) => warnings.push(text)
  mkdirSync(dir, { recursive: true })
  const registry = await ModelRegistry.open({ dir, onWarning: warn })
  const ledger = await ModelLedger.open(dir, warn)
  const host = openHost()
  const audits: ModelWorld['audits'] = []
  const prepared: string[] = []
  let clockMs = Date.UTC(2026, 10, 20)
  const here: ModelWorld = {
    root,
    registry,
    ledger,
    stage,
    host,
    audits,
    prepared,
    warnings,
    failure: undefined,
    desk: new RegistryDesk({
      registry,
      ledger,
      submit: envelope => stage.submit(envelope),
      live: () => stage.live(),
      prepare: async ({ model, version }) => {
        if (here.failure) throw here.failure
        prepared.push(`${model}@${version}`)
      },
      check: folder => host.check(folder),
      audit: async (who, action, detail) => void audits.push({ who, action, detail }),
      modelsMax: tenant => (tenant === 'small' ? 1 : undefined),
      warn,
      clock: () => (clockMs += 1000),
    }),
    open: async stored => batched(await host.open(stored.folder)),
    close: async () => {
      await host.close()
      rmSync(root, { recursive: true, force: true })
    },
  }
  return here
}

/** A package whose model answers `factor` times the sum of its three inputs. */
export function sumPackage(root: string, version: number, id = 'sum', factor = version): string {
  return writePackage(join(root, 'packages', id, String(version)), {
    files: { 'model.onnx': linearModel(3, 1, [factor, factor, factor]) },
    inputs: [
      [1, 2, 3],
      [0, -1, 0.5],
    ],
    outputs: [[6 * factor], [-0.5 * factor]],
    card: { id, version },
  })
}

export async function sumTar(root: string, version: number, id = 'sum', factor = version): Promise<Buffer> {
  return tarOf(sumPackage(root, version, id, factor), PACKAGE_FILES, true)
}

/** Three versions of `sum`, of which the first is champion and the second in the shadow, and a model `other` that nobody ordered. */
export async function sumWorld(): Promise<ModelWorld> {
  const models = await modelWorld()
  for (const version of [1, 2, 3])
    await models.desk.push('sum', version, inPieces(await sumTar(models.root, version)), 'ann')
  await models.desk.push('other', 1, inPieces(await sumTar(models.root, 1, 'other')), 'ann')
  await models.desk.order({ op: 'promote', model: 'sum', version: 1, by: 'ann' })
  await models.desk.order({ op: 'shadow', model: 'sum', version: 2, by: 'ann' })
  return models
}
