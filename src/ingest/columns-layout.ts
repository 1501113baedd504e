/**
 * The columnar message: raw points of many series of one tenant and one partition, as gateways of a fleet hand them to
 * scorers. Little-endian; varints and zigzag as in protobuf; text is UTF-8 behind its length.
 *
 * | part | bytes |
 * |---|---|
 * | version, shape (SHAPE) | 1, 1 |
 * | base time, Unix ms | 8 |
 * | how many series n, samples m, definitions d, declarations f, histograms h | five varints |
 * | f × family, type, unit | text, varint, text |
 * | d × index of the series, length of what follows; type, standing (DECLARED), unit, canonical key; declared type, unit | |
 * | n × identity: three words of hash | 12 each |
 * | m × where: zigzag(series − series before − 1) · 4 + BIT | varints; none when ordered |
 * | m × time: zigzag(time − time before), or doubles when exact | none when all are at the base |
 * | m × value | 8 each |
 * | m × start of the count: zigzag(start − start before), or doubles when exact | none without starts |
 * | h × histogram | see columns-histogram.ts |
 *
 * A series is known by the identity that its first reader gave it: the hash of its label bytes as they came. Its
 * definition comes along when a sender first sees it, after it was silent, and every few minutes by turns; a reader
 * that is without it refuses the samples with the reason `undefined-series`.
 */
export const COLUMNS_VERSION = 1

export const SHAPE = {
  /** Sample i belongs to series i, and none has a BIT. */
  ordered: 1,
  /** All samples are at the base time. */
  oneTime: 2,
  /** Samples say since when they count. */
  starts: 4,
  /** Times are doubles: some are no whole milliseconds. */
  exact: 8,
} as const

export const BIT = {
  /** The value is an increment. */
  increment: 1,
  /** It came with a sample that was counted: the parts of a summary are one sample. */
  aside: 2,
} as const

/** Which name the declared metadata of a definition stand under. */
export const DECLARED = { none: 0, metric: 1, base: 2 } as const

/** Bytes of an identity. */
export const IDENTITY_BYTES = 12
