/** Typed arrays as text, so that state of many numbers stays small in JSON. Little-endian, as all supported machines are. */

export function textOf(values: Float64Array | Float32Array | Int32Array): string {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('base64')
}

/** Fills `into` from its front; what is longer than it is cut. */
export function fillFrom(text: string, into: Float64Array | Float32Array | Int32Array): void {
  const bytes = Buffer.from(text, 'base64')
  const room = new Uint8Array(into.buffer, into.byteOffset, into.byteLength)
  room.set(bytes.subarray(0, room.length))
}
