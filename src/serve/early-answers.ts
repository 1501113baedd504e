import { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'

/** How long the rest of a body that is not wanted may go on arriving after it was answered, ms. */
const LINGER_MS_MAX = 5000

/**
 * Lets a sender read an answer that was given before its body had arrived, such as 413 or 401. Closing at once would
 * make the kernel answer what still arrives with a reset, which throws away the answer on the sender's side. So the
 * rest is read and dropped for a while; who has not ended by then is cut.
 */
export function answerEarly(app: FastifyInstance): void {
  app.addHook('onSend', async (request, reply, payload) => {
    // Node reads and drops the rest of a body only on a connection that stays open.
    if (!request.raw.complete && reply.statusCode >= 400) reply.removeHeader('connection')
    return payload
  })
  app.addHook('onResponse', (request, _reply, done) => {
    const { raw } = request
    if (!raw.complete) {
      const timer = setTimeout(() => raw.destroy(), LINGER_MS_MAX).unref()
      raw.once('close', () => clearTimeout(timer))
      raw.resume()
    }
    done()
  })
}

/**
 * Cuts clients that read nothing of their answer for so long: as long as they are connected it is held for them, all of it. Node sets
 * the time anew when an answer is out.
 */
export function cutStuck(app: FastifyInstance, msMax: number): void {
  app.addHook('onSend', async (request, _reply, payload) => {
    const { socket } = request.raw
    // Who asks from within this process has none.
    if (socket instanceof Socket) socket.setTimeout(msMax)
    return payload
  })
}
