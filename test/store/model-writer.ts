// A program that the kill test starts and kills: it pushes, orders and removes for ever, and prints what was acknowledged.
import { mkdtempSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ModelLedger } from '../../src/store/model-ledger.ts'
import { ModelRegistry } from '../../src/store/model-registry.ts'
import { inPieces, PACKAGE_FILES, tarOf, writePackage } from './model-packages.ts'

const dir = process.argv[2]
const registry = await ModelRegistry.open({ dir })
const ledger = await ModelLedger.open(dir, text => writeSync(2, text))
const source = mkdtempSync(join(tmpdir(), 'foreshock-writer-'))
process.on('exit', () => rmSync(source, { recursive: true, force: true }))
const model = 'echo'
const newest = registry.versions(model)[0]?.version ?? 0
for (let version = newest + 1; ; version++) {
  const folder = writePackage(source, { id: model, version, model: Buffer.alloc(50_000, version) })
  const archive = inPieces(await tarOf(folder, PACKAGE_FILES, true))
  const check = async () => {}
  const { stored } = await registry.push({ model, version, archive, by: 'test', timeMs: version, check })
  writeSync(1, `pushed ${version}\n`)
  await ledger.intend({ op: 'promote', model, version, digest: stored.digest, by: 'test' })
  writeSync(1, `intended ${version}\n`)
  await ledger.settle(version)
  writeSync(1, `settled ${version}\n`)
  if (version <= 3) continue
  const gone = registry.find(model, version - 3)
  if (!gone) continue
  await ledger.rememberRemoved(model, gone.version, gone.packageDigest)
  await registry.remove(model, gone.version)
  writeSync(1, `removed ${gone.version}\n`)
}
