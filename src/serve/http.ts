import type { FastifyReply, FastifyRequest } from 'fastify'
import { ForeshockError } from '../core/errors.ts'
import { A_TENANT_NAME, TENANT_NAME } from '../core/tenant.ts'
import type { Principal, Scope } from './auth.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a key must allow; absent on routes that are open to everybody. */
    scope?: Scope
    /** The language of the route's errors; RFC 9457 problems when absent. */
    speaks?: 'otlp' | 'prometheus' | 'oip'
    /** Called so often that its requests are logged at debug level only. */
    quiet?: boolean
    /** Answered from the live state of a tenant: in a fleet another process holds it. Perhaps not every request is. */
    live?: true | ((request: FastifyRequest) => boolean)
  }
  interface FastifyRequest {
    principal: Principal | null
  }
}

/** Who is asking. Routes with a scope never run without. */
export function principalOf(request: FastifyRequest): Principal {
  if (request.principal === null)
    throw new ForeshockError('FS_ASSERTION', 'a route without a scope asked who')
  return request.principal
}

/** Who is asking to change what all tenants share. Throws FS_FORBIDDEN when the key is tied to one of them. */
export function ownerOf(request: FastifyRequest): Principal {
  const principal = principalOf(request)
  if (principal.tenant === undefined) return principal
  throw new ForeshockError(
    'FS_FORBIDDEN',
    `this key is tied to the tenant ${principal.tenant}; models are shared by all`,
  )
}

/** Names the tenant, where the key is tied to none. */
export const TENANT_HEADER = 'foreshock-tenant'

/** The tenant that a header or a piece of metadata names. Throws FS_INPUT_INVALID on what is no name. */
export function tenantNamed(sent: string | readonly string[] | undefined): string | undefined {
  if (sent === undefined || sent === '') return undefined
  if (typeof sent === 'string' && TENANT_NAME.test(sent)) return sent
  throw invalid(`${TENANT_HEADER} ${A_TENANT_NAME}`)
}

/** The tenant a request's data belongs to. */
export function tenantOf(request: FastifyRequest): string {
  return visibleTenant(request) ?? 'default'
}

/**
 * The tenant a request may see; undefined is all of them. A key that is tied to a tenant sees that one whatever the
 * header says.
 */
export function visibleTenant(request: FastifyRequest): string | undefined {
  return request.principal?.tenant ?? tenantNamed(request.headers[TENANT_HEADER])
}

/** Media type in lower case and its parameters, quotes taken off; RFC 9110 section 8.3. */
export function mediaType(header: string | undefined): {
  readonly type: string
  readonly parameters: ReadonlyMap<string, string>
} {
  const [type, ...rest] = (header ?? '').split(';')
  const parameters = new Map<string, string>()
  for (const part of rest) {
    const at = part.indexOf('=')
    if (at < 0) continue
    const value = part.slice(at + 1).trim()
    parameters.set(part.slice(0, at).trim().toLowerCase(), value.replace(/^"(.*)"$/, '$1'))
  }
  return { type: type.trim().toLowerCase(), parameters }
}

/** The encoding a body came in. Throws FS_MEDIA_TYPE_UNSUPPORTED on one that is not in `allowed`. */
export function encodingOf<E extends string>(
  header: string | undefined,
  allowed: readonly E[],
  absent: NoInfer<E>,
): E {
  const sent = (header ?? '').trim().toLowerCase()
  if (sent === '') return absent
  for (const encoding of allowed) if (encoding === sent) return encoding
  throw new ForeshockError(
    'FS_MEDIA_TYPE_UNSUPPORTED',
    `content-encoding ${sent.slice(0, 50)} is not spoken here; use ${allowed.join(' or ')}`,
  )
}

/** The body as received; a request without one has an empty body. */
export function bytesOf(request: FastifyRequest): Uint8Array {
  return request.body instanceof Uint8Array ? request.body : new Uint8Array(0)
}

export function notFound(what: string): ForeshockError {
  return new ForeshockError('FS_NOT_FOUND', `there is no ${what.slice(0, 300)}`)
}

export function unsupported(detail: string): ForeshockError {
  return new ForeshockError('FS_MEDIA_TYPE_UNSUPPORTED', detail)
}

export function invalid(detail: string): ForeshockError {
  return new ForeshockError('FS_INPUT_INVALID', detail)
}

/** Sends JSON past the schema serializer: the answer is written as it is. */
export function sendJson(reply: FastifyReply, value: unknown): FastifyReply {
  return reply.type('application/json; charset=utf-8').send(JSON.stringify(value))
}
