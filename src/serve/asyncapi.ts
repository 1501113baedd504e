import { z } from 'zod'
import { type DisruptionEventType, disruptionSchema } from '../core/disruption.ts'

const TYPES: Readonly<Record<DisruptionEventType, string>> = {
  opened: 'A new disruption',
  updated: 'A disruption changed: cause, severity, entities or rank',
  resolved: 'A disruption is over',
  retracted: 'A disruption was told in error, or is part of another; its `why` says which',
}

/** Description of what is published, AsyncAPI 3.0, from the schema of the event itself; served at /asyncapi.json. */
export function asyncApi(version: string, serverHost: string): object {
  const types = Object.keys(TYPES) as DisruptionEventType[]
  const ref = (path: string) => ({ $ref: `#/${path}` })
  const { $schema: _, ...disruption } = z.toJSONSchema(disruptionSchema)
  return {
    asyncapi: '3.0.0',
    id: 'urn:foreshock',
    info: {
      title: 'Foreshock',
      version,
      description:
        'Disruption events. The id of an event is `<disruption id>.<revision>`: a repeated id is the same event again ' +
        'and can be dropped.',
      license: { name: 'Apache-2.0' },
    },
    defaultContentType: 'application/json',
    servers: { foreshock: { host: serverHost, protocol: 'http' } },
    channels: {
      events: {
        address: '/api/events',
        title: 'Server-sent events',
        description:
          'Server-sent events (WHATWG HTML 9.2): `id` is the event id, `event` its CloudEvents type, `data` the ' +
          'disruption. A client that comes back with Last-Event-ID gets what it missed.',
        servers: [ref('servers/foreshock')],
        messages: Object.fromEntries(types.map(type => [type, ref(`components/messages/${type}`)])),
        bindings: { http: { bindingVersion: '0.3.0' } },
      },
      webhook: {
        address: null,
        title: 'Webhooks',
        description:
          'POST to each URL of `sinks.webhooks`: a structured CloudEvents 1.0 event signed as Standard Webhooks asks ' +
          '(webhook-id, webhook-timestamp, webhook-signature).',
        messages: Object.fromEntries(types.map(type => [type, ref(`components/messages/${type}CloudEvent`)])),
      },
    },
    operations: {
      followEvents: {
        action: 'send',
        channel: ref('channels/events'),
        summary: 'Hands out every event as it happens',
        bindings: { http: { method: 'GET', bindingVersion: '0.3.0' } },
      },
      callWebhook: {
        action: 'send',
        channel: ref('channels/webhook'),
        summary: 'Delivers every event, again until it is taken or a day is over',
        bindings: { http: { method: 'POST', bindingVersion: '0.3.0' } },
      },
    },
    components: {
      schemas: { disruption },
      messages: Object.assign(
        {},
        ...types.map(type => messagesOf(type, ref('components/schemas/disruption'))),
      ),
    },
  }
}

function messagesOf(type: DisruptionEventType, payload: object): object {
  const name = `io.foreshock.disruption.${type}.v1`
  const text = { type: 'string' }
  return {
    [type]: { name, title: TYPES[type], contentType: 'application/json', payload },
    [`${type}CloudEvent`]: {
      name,
      title: TYPES[type],
      contentType: 'application/cloudevents+json',
      headers: {
        type: 'object',
        required: ['webhook-id', 'webhook-timestamp', 'webhook-signature'],
        properties: { 'webhook-id': text, 'webhook-timestamp': text, 'webhook-signature': text },
      },
      payload: {
        type: 'object',
        required: ['specversion', 'id', 'source', 'type', 'subject', 'time', 'data'],
        properties: {
          specversion: { const: '1.0' },
          id: text,
          source: text,
          type: { const: name },
          subject: { ...text, description: 'Id of the disruption' },
          time: { ...text, format: 'date-time' },
          datacontenttype: { const: 'application/json' },
          evidenceomitted: {
            type: 'integer',
            description: 'Pieces of evidence left out to stay below 20 kB',
          },
          data: payload,
        },
      },
    },
  }
}
