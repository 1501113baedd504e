import {
  beginProfile,
  type ProfileShape,
  type ProfileState,
  profileColumns,
} from '../../src/math/left-profile.ts'

const ARRAYS = { f64: Float64Array, f32: Float32Array, i32: Int32Array } as const

/** State of one series that nothing was learned of. */
export function profileState(shape: ProfileShape): ProfileState {
  const columns = Object.entries(profileColumns(shape))
  const s = Object.fromEntries(columns.map(([name, [type, width]]) => [name, new ARRAYS[type](width)]))
  beginProfile(s as never, shape)
  return s as never
}
