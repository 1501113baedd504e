// The files of deploy/ as the tests of them read them.
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parse, parseAllDocuments } from 'yaml'

export const ROOT = resolve(import.meta.dirname, '../..')
export const DEPLOY = join(ROOT, 'deploy')

export const text = (path: string): string => readFileSync(join(DEPLOY, path), 'utf8')
export const yaml = <T>(path: string): T => parse(text(path), { merge: true }) as T

// biome-ignore lint/suspicious/noExplicitAny: manifests are looked into by hand, key by key.
export type Manifest = Record<string, any>

/** Every Kubernetes object of a folder, without what kustomize reads itself. */
export function manifests(folder: string): Manifest[] {
  return readdirSync(join(DEPLOY, folder))
    .filter(name => name.endsWith('.yaml') && !['kustomization.yaml', 'foreshock.yaml'].includes(name))
    .flatMap(name => parseAllDocuments(text(join(folder, name))).map(one => one.toJSON() as Manifest))
}
