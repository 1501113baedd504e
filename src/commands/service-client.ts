import type { Command } from 'commander'
import { ForeshockError } from '../core/errors.ts'

/** How a command reaches the running service. */
export interface ServiceFlags {
  readonly url: string
  readonly key?: string
}

/** Answers that say the request was wrong, not that the service is. */
const WRONG: ReadonlySet<number> = new Set([400, 404, 409, 413, 415, 422])

/** Adds the options of commands that talk to a running service. */
export function addServiceOptions(command: Command, scope: string): Command {
  return command
    .option('--url <url>', 'the running service', 'http://127.0.0.1:4318')
    .option('--key <key>', `API key with the scope ${scope}`)
    .option('--json', 'print JSON')
}

/**
 * Asks the running service; `body` goes as JSON. Throws FS_INPUT_INVALID with the service's own words when it refuses
 * what was asked, FS_IO when it cannot be reached or fails.
 */
export async function askService<T>(
  { url: base, key }: ServiceFlags,
  method: 'GET' | 'POST',
  path: string,
  body?: unknown,
): Promise<T> {
  const url = urlOf(base, path)
  const headers: Record<string, string> = key === undefined ? {} : { authorization: `Bearer ${key}` }
  if (body !== undefined) headers['content-type'] = 'application/json'
  const init = { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) }
  const answer = await fetch(url, init).catch(error => {
    const { cause } = error as { cause?: { message?: string } }
    throw new ForeshockError('FS_IO', `${url.origin} does not answer (${cause?.message ?? error})`)
  })
  if (answer.ok) return (await answer.json()) as T
  const problem = (await answer.json().catch(() => ({}))) as { detail?: string }
  const text = `${url.origin}: ${answer.status} ${problem.detail ?? ''}`.trim()
  throw new ForeshockError(WRONG.has(answer.status) ? 'FS_INPUT_INVALID' : 'FS_IO', text)
}

function urlOf(base: string, path: string): URL {
  try {
    return new URL(path, base)
  } catch {
    throw new ForeshockError('FS_INPUT_INVALID', `--url ${base}: write it as http://host:port`)
  }
}
