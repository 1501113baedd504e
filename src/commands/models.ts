import type { Command } from 'commander'
import { addModelsValidate } from './models-validate.ts'

export function addModelsCommand(cli: Command): void {
  const models = cli.command('models').description('model packages: whether they are what they say')
  addModelsValidate(models)
}
