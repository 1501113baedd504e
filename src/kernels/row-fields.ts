/** Arrays of fields that kernels keep of a series. */
const FIELD_ARRAYS = {
  f64: Float64Array,
  f32: Float32Array,
  u32: Uint32Array,
  i32: Int32Array,
  u16: Uint16Array,
  i16: Int16Array,
  u8: Uint8Array,
} as const

/** Type and values of each field of a row, in the order in which they lie one after the other. */
export type FieldSpec = Readonly<Record<string, readonly [keyof typeof FIELD_ARRAYS, number]>>
export type Fields<S extends FieldSpec> = {
  readonly [K in keyof S]: InstanceType<(typeof FIELD_ARRAYS)[S[K][0]]>
}

/** Bytes of a row's fields. */
export function fieldBytes(spec: FieldSpec): number {
  return Object.values(spec).reduce(
    (sum, [type, width]) => sum + FIELD_ARRAYS[type].BYTES_PER_ELEMENT * width,
    0,
  )
}

/** The fields of the row that begins at byte `at`: the state itself. */
export function fieldsAt<S extends FieldSpec>(buffer: ArrayBuffer, at: number, spec: S): Fields<S> {
  const fields: Record<string, InstanceType<(typeof FIELD_ARRAYS)[keyof typeof FIELD_ARRAYS]>> = {}
  for (const [name, [type, width]] of Object.entries(spec)) {
    fields[name] = new FIELD_ARRAYS[type](buffer, at, width)
    at += FIELD_ARRAYS[type].BYTES_PER_ELEMENT * width
  }
  return fields as Fields<S>
}
