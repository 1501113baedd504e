// Shows that /asyncapi.json is a whole AsyncAPI 3.0 document by that specification's own schema, that its references lead
// somewhere, and that disruptions as they are published are what it says they are.
import asyncApiSpecs from '@asyncapi/specs'
import { Ajv } from 'ajv'
import { Ajv2020 } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { cloudEvent } from '../../src/publish/cloudevents.ts'
import { disruption, listen, type Running, world } from './world.ts'

let server: Running
let text: string
beforeAll(async () => {
  server = await listen(world().deps, { version: '1.2.3' })
  const answer = await fetch(`${server.url}/asyncapi.json`)
  expect(answer.status).toBe(200)
  text = await answer.text()
})
afterAll(() => server.close())

/** What `path` of the document leads to, as `#/a/b`. */
function at(path: string): unknown {
  let here = JSON.parse(text)
  for (const key of path.slice(2).split('/')) here = here?.[key]
  return here
}

it('is valid by the schema of AsyncAPI 3.0', () => {
  const ajv = new Ajv({ strict: false, allErrors: true, meta: false, validateSchema: false })
  formats.default(ajv)
  const validate = ajv.compile(asyncApiSpecs.schemas['3.0.0'] as object)
  expect(validate(JSON.parse(text)), JSON.stringify(validate.errors?.slice(0, 5))).toBe(true)
  expect(JSON.parse(text).info.version).toBe('1.2.3')
})

it('has no reference that leads nowhere', () => {
  const paths = [...text.matchAll(/"\$ref":"([^"]+)"/g)].map(match => match[1])
  expect(paths.length).toBeGreaterThan(10)
  for (const path of paths) expect(at(path), path).toBeTypeOf('object')
})

it('describes events as they are', () => {
  const ajv = new Ajv2020({ strict: false })
  formats.default(ajv)
  const schemaOf = (message: string) => {
    const document = { ...JSON.parse(text), $id: 'urn:doc' }
    return ajv.compile({
      ...(at(`#/components/messages/${message}/payload`) as object),
      components: document.components,
    })
  }
  const one = disruption('dis_one')
  const followed = schemaOf('opened')
  expect(followed(one), JSON.stringify(followed.errors)).toBe(true)
  expect(followed({ ...one, severity: 'terrible' })).toBe(false)
  const event = { id: 'dis_one.1', type: 'resolved', timeMs: 1_700_000_000_000, disruption: one } as const
  const called = schemaOf('resolvedCloudEvent')
  expect(called(cloudEvent(event, 'http://here')), JSON.stringify(called.errors)).toBe(true)
  expect(called(cloudEvent({ ...event, type: 'opened' }, 'http://here'))).toBe(false)
})
