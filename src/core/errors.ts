/** Every error code, what caused it and what to do about it. The one catalogue. */
export const ERRORS = {
  FS_ASSERTION: { cause: 'a programmer mistake', remedy: 'report it as a bug with the message' },
  FS_CONFIG_INVALID: {
    cause: 'a key of the configuration is unknown or of the wrong kind',
    remedy: 'correct the key named in the message',
  },
  FS_AUTH_REQUIRED: {
    cause: 'a non-loopback address would be bound without authentication',
    remedy: 'configure auth.keys or bind 127.0.0.1',
  },
  FS_INPUT_INVALID: {
    cause: 'a file or body cannot be read',
    remedy: 'correct the file, row or field named in the message',
  },
  FS_INPUT_TOO_LARGE: {
    cause: 'a body is larger than its limit, as sent or inflated',
    remedy: 'send smaller batches or raise the limit',
  },
  FS_OVERLOADED: {
    cause: 'more is arriving than can be scored',
    remedy: 'wait as Retry-After says, or add capacity',
  },
  FS_WORKER_LOST: {
    cause: 'a thread that scores has ended by itself, such as when it was out of memory, or hangs',
    remedy: 'start again: everything since the last checkpoint is read from the journal',
  },
  FS_SNAPSHOT_INVALID: {
    cause: 'a saved state is of another layout',
    remedy: 'start without it, or with the version that wrote it',
  },
  FS_LOG_CORRUPT: {
    cause: 'the record log does not match its hash chain',
    remedy: 'restore the segment named in the message from a backup',
  },
  FS_UNAUTHORIZED: {
    cause: 'no API key was sent, or one that is not known',
    remedy: 'send a configured key as Authorization: Bearer or X-API-Key',
  },
  FS_FORBIDDEN: {
    cause: 'the API key lacks the scope',
    remedy: 'use a key with the scope named in the message',
  },
  FS_MEDIA_TYPE_UNSUPPORTED: {
    cause: 'a body came with a content type or encoding that is not spoken here',
    remedy: 'send one of those named in the message',
  },
  FS_IDEMPOTENCY_CONFLICT: {
    cause: 'an Idempotency-Key was used again with another body',
    remedy: 'use a new key for a new request',
  },
  FS_CONFLICT: {
    cause: 'what is asked for contradicts how things stand',
    remedy: 'look at how things stand, then ask for what fits',
  },
  FS_NOT_FOUND: { cause: 'there is no such thing', remedy: 'check the id' },
  FS_EXPRESSION_INVALID: {
    cause: 'an SLI expression uses something not allowed',
    remedy: 'use the operators and functions listed in the message',
  },
  FS_FOLDER_IN_USE: {
    cause: 'another service works in this data folder',
    remedy: 'stop it, or set data.folder to another',
  },
  FS_MODEL_INVALID: {
    cause: 'a model package is not what its card says, or asks for what is not given',
    remedy: 'correct or rebuild the package as the message says; the service goes on without it',
  },
  FS_MODEL_RUNTIME: {
    cause: 'no runtime of models can be loaded on this machine, or a model failed or took too long',
    remedy: 'install onnxruntime-node or onnxruntime-web for this platform, or switch the model off',
  },
  FS_BUS_TOPIC: {
    cause: 'a topic is missing, or has another number of partitions than the fleet was started with',
    remedy: 'do what the message says: `foreshock topics create` makes what is missing',
  },
  FS_FENCED: {
    cause: 'another process has taken over what this one was doing',
    remedy: 'none is needed: this one stops doing it',
  },
  FS_QUOTA: {
    cause: 'a tenant sends or asks for more than it may',
    remedy: 'send less, or raise the quota named in the message',
  },
  FS_ONE_PROCESS_ONLY: {
    cause: 'what is asked for is there in one process, and not in a fleet',
    remedy: 'ask a service that is configured without a section `cluster`',
  },
  FS_AWAY: {
    cause: 'a part of the fleet that this needs cannot be reached now',
    remedy: 'try again as Retry-After says; /readyz and the log say what is away',
  },
  FS_IO: {
    cause: 'a disk or network peer failed',
    remedy: 'see the message; it is retried where that helps',
  },
} as const

export type ErrorCode = keyof typeof ERRORS

/** An error with a code from the catalogue. */
export class ForeshockError extends Error {
  readonly code: ErrorCode
  /** When it is worth coming back, where that is known, ms. */
  readonly retryAfterMs: number | undefined
  constructor(
    code: ErrorCode,
    message: string,
    options?: ErrorOptions & { readonly retryAfterMs?: number | undefined },
  ) {
    super(message, options)
    this.name = 'ForeshockError'
    this.code = code
    this.retryAfterMs = options?.retryAfterMs
  }
}

/** A tenant has sent more than it may, and may send again after so many ms. */
export function quotaExceeded(tenant: string, retryAfterMs: number): ForeshockError {
  return new ForeshockError(
    'FS_QUOTA',
    `tenant ${tenant} sends more samples than tenants.${tenant}.quota.samplesPerSecond (or that of *) allows: ` +
      `come back in ${Math.ceil(retryAfterMs)} ms`,
    { retryAfterMs },
  )
}

/** A tenant has all the models that it may have. */
export function modelQuotaExceeded(tenant: string, modelsMax: number): ForeshockError {
  return new ForeshockError(
    'FS_QUOTA',
    `tenant ${tenant} has ${modelsMax} models, all that tenants.${tenant}.quota.models (or that of *) allows: remove one`,
  )
}
