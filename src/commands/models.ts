import { resolve } from 'node:path'
import type { Command } from 'commander'
import { create } from 'tar'
import type { z } from 'zod'
import { ForeshockError } from '../core/errors.ts'
import type { modelSchema, modelWithHistory, storedSchema } from '../serve/model-body.ts'
import { cardIn, filesNamed } from '../store/model-folder.ts'
import { historyLines, modelLines, modelsTable } from './model-lines.ts'
import { addModelsValidate } from './models-validate.ts'
import { addServiceOptions, askService, type ServiceFlags } from './service-client.ts'

interface Flags extends ServiceFlags {
  readonly json?: boolean
}

interface OrderFlags extends Flags {
  readonly why?: string
  readonly share?: string
}

type Model = z.output<typeof modelSchema>
type Told = z.output<typeof modelWithHistory>

/** `foreshock models …`: packages and who is champion, over HTTP; `validate` without a service. */
export function addModelsCommand(cli: Command): void {
  const models = cli
    .command('models')
    .description('model packages: tried, pushed, shadowed, promoted, rolled back')
  addModelsValidate(models)
  addLook(models)
  addPush(models)
  addOrder(models, 'shadow', 'lets a version score beside the champion, unheard', '<version>')
  addOrder(models, 'canary', 'lets a version speak for a share of the series', '<version>')
  addOrder(models, 'promote', 'makes a version champion; the challenger when none is named', '[version]')
  addOrder(models, 'withdraw', 'ends a shadow or canary')
  addOrder(models, 'rollback', 'makes the champion before this one champion again')
  addOrder(models, 'retire', 'ends a model: none of its versions scores any more')
  const remove = models
    .command('remove')
    .description('removes a version that has no part')
    .argument('<model>')
    .argument('<version>')
  addServiceOptions(remove, 'models').action(async (model: string, version: string, flags: Flags) => {
    await askService(flags, 'DELETE', pathOf(model, version))
    print(flags, { model, version: Number(version), removed: true }, [`${model} ${version} removed`])
  })
}

function addLook(models: Command): void {
  addServiceOptions(models.command('list').description('models, and who is champion'), 'read').action(
    async (flags: Flags) => {
      const { items } = await askService<{ items: Model[] }>(flags, 'GET', '/api/models')
      print(flags, { items }, modelsTable(items))
    },
  )
  const show = models
    .command('show')
    .description('a model, how it does, and what ran when; a version with its card')
    .argument('<model>')
    .argument('[version]')
  addServiceOptions(show, 'read').action(async (model: string, version: string | undefined, flags: Flags) => {
    if (version !== undefined) {
      const stored = await askService(flags, 'GET', pathOf(model, version))
      print(flags, stored, [JSON.stringify(stored, null, 2)])
      return
    }
    const told = await askService<Told>(flags, 'GET', pathOf(model))
    print(flags, told, [...modelLines(told), ...historyLines(told)])
  })
}

function addPush(models: Command): void {
  const push = models
    .command('push')
    .description('sends the package in a folder to the service, which tries and keeps it')
    .argument('<folder>')
  addServiceOptions(push, 'models').action(async (folder: string, flags: Flags) => {
    const path = resolve(folder)
    const card = await cardIn(path)
    const { id, version } = card
    if (typeof id !== 'string' || typeof version !== 'number')
      throw new ForeshockError('FS_MODEL_INVALID', `${folder}: card.json names no id and version`)
    const bytes = await archive(path, await filesNamed(path, card))
    const stored = await askService<z.output<typeof storedSchema>>(
      flags,
      'PUT',
      pathOf(id, String(version)),
      bytes,
    )
    const next = `foreshock models shadow ${id} ${version}`
    print(flags, stored, [`${id} ${version} is kept, ${stored.packageDigest}; next: ${next}`])
  })
}

async function archive(cwd: string, files: readonly string[]): Promise<Uint8Array> {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of create({ cwd, gzip: true, portable: true }, [...files])) chunks.push(chunk)
  } catch (cause) {
    throw new ForeshockError('FS_MODEL_INVALID', `${cwd}: ${(cause as Error).message}`)
  }
  return Buffer.concat(chunks)
}

function addOrder(models: Command, op: string, description: string, version?: string): void {
  const command = models.command(op).description(description).argument('<model>')
  if (version !== undefined) command.argument(version)
  if (op === 'canary') command.option('--share <share>', 'of the series, above 0 to 1', '0.1')
  command.option('--why <text>', 'goes into the history and the audit trail')
  addServiceOptions(command, 'models').action(async (...words: unknown[]) => {
    const model = words[0] as string
    const named = version === undefined ? undefined : (words[1] as string | undefined)
    const flags = words[version === undefined ? 1 : 2] as OrderFlags
    const body = {
      ...(named === undefined ? {} : { version: numberOf('version', named) }),
      ...(flags.share === undefined ? {} : { share: numberOf('--share', flags.share) }),
      ...(flags.why === undefined ? {} : { why: flags.why }),
    }
    const told = await askService<Told>(flags, 'POST', `${pathOf(model)}/${op}`, body)
    print(flags, told, modelLines(told))
  })
}

function numberOf(what: string, text: string): number {
  const number = Number(text)
  if (text.trim() === '' || Number.isNaN(number))
    throw new ForeshockError('FS_INPUT_INVALID', `${what} ${text}: is no number`)
  return number
}

function pathOf(model: string, version?: string): string {
  const path = `/api/models/${encodeURIComponent(model)}`
  return version === undefined ? path : `${path}/versions/${encodeURIComponent(version)}`
}

function print({ json }: Flags, value: unknown, lines: readonly string[]): void {
  process.stdout.write(json ? `${JSON.stringify(value)}\n` : `${lines.join('\n')}\n`)
}
