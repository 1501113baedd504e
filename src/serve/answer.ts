import type { FastifyReply } from 'fastify'

/** What a request is answered, before it is written: `content-length`, `date` and the like come with the writing. */
export interface Answer {
  readonly status: number
  readonly headers: readonly (readonly [string, string])[]
  readonly body: string | Buffer | undefined
}

/** JSON is UTF-8 by its standard; old clients want to be told. */
export function withCharset(contentType: string): string {
  return contentType === 'application/json' ? 'application/json; charset=utf-8' : contentType
}

/** Sends an answer as it is. */
export function sendAnswer(reply: FastifyReply, { status, headers, body }: Answer): FastifyReply {
  reply.code(status)
  for (const [name, value] of headers) reply.header(name, value)
  return body === undefined ? reply.send() : reply.serializer((text: unknown) => String(text)).send(body)
}
