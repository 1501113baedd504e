import { STATUS_CODES } from 'node:http'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod'
import { ERRORS, type ErrorCode, ForeshockError } from '../core/errors.ts'
import { type Answer, sendAnswer, withCharset } from './answer.ts'
import { otlpErrorBody } from './otlp-answer.ts'

/** RFC 9457 body of every error, with the code of the catalogue beside it. */
export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly code: ErrorCode
  readonly instance: string
  /** When it is worth coming back, where that is known. */
  readonly retryAfterSeconds?: number
  readonly [extension: string]: unknown
}

const STATUS: Readonly<Record<ErrorCode, number>> = {
  FS_ASSERTION: 500,
  FS_CONFIG_INVALID: 500,
  FS_AUTH_REQUIRED: 401,
  FS_UNAUTHORIZED: 401,
  FS_FORBIDDEN: 403,
  FS_INPUT_INVALID: 400,
  FS_INPUT_TOO_LARGE: 413,
  FS_MEDIA_TYPE_UNSUPPORTED: 415,
  FS_IDEMPOTENCY_CONFLICT: 422,
  FS_OVERLOADED: 429,
  FS_WORKER_LOST: 503,
  FS_SNAPSHOT_INVALID: 500,
  FS_LOG_CORRUPT: 500,
  FS_CONFLICT: 409,
  FS_NOT_FOUND: 404,
  FS_EXPRESSION_INVALID: 400,
  FS_FOLDER_IN_USE: 503,
  FS_MODEL_INVALID: 422,
  FS_MODEL_RUNTIME: 503,
  FS_BUS_TOPIC: 503,
  FS_FENCED: 503,
  FS_QUOTA: 429,
  FS_ONE_PROCESS_ONLY: 501,
  FS_AWAY: 503,
  FS_IO: 503,
}

/** The status of HTTP that an error is answered with. */
export const statusOf = (code: ErrorCode): number => STATUS[code] ?? 500

/** A client mistake names what was wrong; a mistake of ours says only that it was ours. */
const OURS = 'something went wrong on this side; the log says what'

/** Answers of 500 and more that are no mistake of ours: they say what is. */
const TOLD: ReadonlySet<ErrorCode> = new Set(['FS_AWAY', 'FS_ONE_PROCESS_ONLY'])

/** Whether an answer of 500 or more is one that somebody here has to look at. */
export function isFailure({ status, code }: Pick<Problem, 'status' | 'code'>): boolean {
  return status >= 500 && code !== 'FS_OVERLOADED' && !TOLD.has(code)
}

export function problemOf(
  code: ErrorCode,
  detail: string,
  instance: string,
  status = statusOf(code),
  extensions: Readonly<Record<string, unknown>> = {},
): Problem {
  const cause = ERRORS[code].cause
  return {
    type: `urn:foreshock:error:${code}`,
    title: cause.charAt(0).toUpperCase() + cause.slice(1),
    status,
    detail,
    code,
    instance,
    remedy: ERRORS[code].remedy,
    ...extensions,
  }
}

/** The path of a URL, as problems name it. */
export function instanceOf(url: string): string {
  return url.split('?')[0].slice(0, 500)
}

/** What an error that Fastify or one of its plugins threw means in our catalogue. */
function codeOfStatus(status: number): ErrorCode {
  switch (status) {
    case 401:
      return 'FS_UNAUTHORIZED'
    case 403:
      return 'FS_FORBIDDEN'
    case 404:
      return 'FS_NOT_FOUND'
    case 413:
      return 'FS_INPUT_TOO_LARGE'
    case 415:
      return 'FS_MEDIA_TYPE_UNSUPPORTED'
    case 429:
    case 503:
      return 'FS_OVERLOADED'
    default:
      return status >= 500 ? 'FS_ASSERTION' : 'FS_INPUT_INVALID'
  }
}

interface FieldError {
  readonly in: string
  readonly field: string
  readonly message: string
}

function fieldErrors(error: FastifyError): FieldError[] {
  if (!hasZodFastifySchemaValidationErrors(error)) return []
  return error.validation.slice(0, 20).map(issue => ({
    in: error.validationContext ?? 'request',
    field: issue.instancePath.replace(/^\//, '').replaceAll('/', '.') || '(whole)',
    message: issue.message ?? 'is not valid',
  }))
}

export function problemOfError(error: unknown, request: { readonly url: string }): Problem {
  const instance = instanceOf(request.url)
  if (error instanceof ForeshockError) {
    const status = statusOf(error.code)
    const isTold = status < 500 || TOLD.has(error.code)
    const { retryAfterMs } = error
    const extensions =
      retryAfterMs === undefined ? {} : { retryAfterSeconds: Math.max(1, Math.ceil(retryAfterMs / 1000)) }
    return problemOf(error.code, isTold ? error.message : OURS, instance, status, extensions)
  }
  const thrown = error as FastifyError
  const errors = fieldErrors(thrown)
  if (errors.length > 0) {
    const detail = errors.map(e => `${e.in} ${e.field}: ${e.message}`).join('; ')
    return problemOf('FS_INPUT_INVALID', detail.slice(0, 1000), instance, 400, { errors })
  }
  const status = thrown?.statusCode ?? 500
  const detail = status >= 500 && status !== 503 ? OURS : String(thrown.message).slice(0, 1000)
  return problemOf(codeOfStatus(status), detail, instance, status)
}

/** Which language a request is answered in. */
export interface Language {
  readonly speaks: 'otlp' | 'prometheus' | 'oip' | undefined
  readonly url: string
  readonly contentType: string | undefined
}

/** A problem in the language of the route: google.rpc.Status to OTLP senders, RFC 9457 to most others. */
export function problemAnswer(problem: Problem, language: Language, retryAfterSeconds: number): Answer {
  const { status } = problem
  const headers: [string, string][] = []
  if (status === 429 || status === 503)
    headers.push(['retry-after', String(problem.retryAfterSeconds ?? retryAfterSeconds)])
  if (status === 401) headers.push(['www-authenticate', 'Bearer realm="foreshock"'])
  const answer = (contentType: string, body: string | Buffer): Answer => {
    headers.push(['content-type', contentType])
    return { status, headers, body }
  }
  if (language.speaks === 'otlp') {
    const { contentType, body } = otlpErrorBody(status, problem.detail, language.contentType)
    return answer(withCharset(contentType), body)
  }
  // Of the Open Inference Protocol, also where there is no such route.
  if (language.speaks === 'oip' || language.url.startsWith('/v2/'))
    return answer('application/json', JSON.stringify({ error: `${problem.detail} (${problem.code})` }))
  if (language.speaks === 'prometheus') {
    const errorType = status >= 500 ? 'internal' : status < 404 ? 'bad_data' : 'execution'
    return answer('application/json', JSON.stringify({ status: 'error', errorType, error: problem.detail }))
  }
  return answer('application/problem+json', JSON.stringify(problem))
}

/** Sends a problem in the language of the route. */
export function sendProblem(
  request: FastifyRequest,
  reply: FastifyReply,
  problem: Problem,
  retryAfterSeconds: number,
): FastifyReply {
  const language = {
    speaks: request.routeOptions.config.speaks,
    url: request.url,
    contentType: request.headers['content-type'],
  }
  return sendAnswer(reply, problemAnswer(problem, language, retryAfterSeconds))
}

/** What is thrown at senders while the event loop is stuck. */
export function tooBusy(): Error {
  return Object.assign(new Error('the service is too busy to answer'), { statusCode: 503 })
}

/** For requests so broken that Fastify never sees them: written to the socket as text. */
export function rawProblem(status: number, detail: string): string {
  const body = JSON.stringify(problemOf(codeOfStatus(status), detail, '', status))
  return (
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nconnection: close\r\n` +
    `content-type: application/problem+json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
  )
}
