import { z } from 'zod'
import { count, duration, listOf, section, switchable, timer } from './values.ts'

/** What a process of the fleet does. One process may do all of it. */
export const ROLES = ['gateway', 'scorer', 'disruptions', 'indexer', 'publisher'] as const
export type Role = (typeof ROLES)[number]

const address = z.string().regex(/^[^\s:]+:\d{1,5}$|^\[[^\]]+\]:\d{1,5}$/, 'write host:port')
const file = z.string().min(1)

/** `true`, or files of a CA and of a client certificate. */
const tls = z.union([
  switchable,
  z.strictObject({
    ca: file.optional(),
    cert: file.optional(),
    key: file.optional(),
    serverName: z.string().optional(),
  }),
])

const kafkaSchema = z.strictObject({
  brokers: listOf(address),
  /** Stands before every topic and group. */
  prefix: z.string().default('foreshock.'),
  compression: z.enum(['none', 'gzip', 'snappy', 'lz4', 'zstd']).default('lz4'),
  tls: tls.default(false),
  sasl: z
    .strictObject({
      mechanism: z.enum(['plain', 'scram-sha-256', 'scram-sha-512']),
      username: z.string().min(1),
      /** Environment variable that holds the password. */
      passwordEnv: z.string().min(1),
    })
    .optional(),
  /** A member that is silent for longer loses its partitions. */
  sessionTimeout: timer.default(30_000),
})

const redisSchema = z
  .strictObject({
    /** One server: `redis://[:password@]host:6379/0`, `rediss://` for TLS. */
    url: z
      .string()
      .regex(/^rediss?:\/\/./, 'write redis://host:6379 or rediss://host:6379')
      .optional(),
    sentinels: listOf(address).optional(),
    /** Name of the master that the sentinels watch. */
    master: z.string().min(1).optional(),
    /** Nodes of a Redis Cluster. */
    nodes: listOf(address).optional(),
    prefix: z.string().default('foreshock:'),
    tls: tls.default(false),
    username: z.string().min(1).optional(),
    /** Environment variable that holds the password. */
    passwordEnv: z.string().min(1).optional(),
  })
  .refine(({ url, sentinels, nodes }) => [url, sentinels, nodes].filter(Boolean).length === 1, {
    message: 'name one of url, sentinels (with master) and nodes',
  })
  .refine(({ sentinels, master }) => (sentinels === undefined) === (master === undefined), {
    message: 'sentinels and master belong together',
  })

const postgresSchema = z.strictObject({
  /** `postgres://user@host:5432/database`; or set the environment variable that `urlEnv` names. */
  url: z.string().min(1).optional(),
  urlEnv: z.string().min(1).optional(),
  schema: z
    .string()
    .regex(/^[a-z_][a-z0-9_]*$/)
    .default('foreshock'),
  /** Rows older than this are dropped, a time partition at once. */
  retention: duration.default(400 * 86_400_000),
})

/** Many machines: which engines, and what this process does. */
export const clusterSchema = z.strictObject({
  roles: listOf(z.enum(ROLES)).default([...ROLES]),
  /** Name of this process, the same after a restart; the host name unless it is given. */
  member: z.string().min(1).optional(),
  kafka: kafkaSchema,
  redis: redisSchema,
  postgres: postgresSchema,
  partitions: section({
    samples: count.default(12),
    anomalies: count.default(3),
  }),
  /** Copies of every partition that Kafka keeps. */
  replication: count.default(3),
  /** The disruption stage waits this long for windows of a partition that is behind; then it goes on without them. */
  patience: duration.default(60_000),
  /** Where other processes of the fleet reach this one; the first address of the host unless it is given. */
  advertise: z.url().optional(),
})

export type ClusterConfig = z.output<typeof clusterSchema>
