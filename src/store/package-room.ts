import { ForeshockError, modelQuotaExceeded } from '../core/errors.ts'
import type { KeptPackage } from '../core/ports.ts'
import { REGISTRY_LIMITS } from './model-registry.ts'

/** What a store of packages holds before another one comes; removed ones do not count. */
export interface PackageRoom {
  /** Models, and versions of this one. */
  readonly models: number
  readonly versions: number
  readonly bytes: number
  /** Other models of its tenant. */
  readonly ofTenant: number
}

/** Throws FS_CONFLICT when there is no room for a package, FS_QUOTA when its tenant may have no further model. */
export function assertRoom(one: KeptPackage, held: PackageRoom, modelsMax: number | undefined): void {
  const { models, versionsPerModel, bytes } = REGISTRY_LIMITS
  if (modelsMax !== undefined && held.ofTenant >= modelsMax) throw modelQuotaExceeded(one.tenant, modelsMax)
  if (held.versions === 0 && held.models >= models) throw full(`${models} models`)
  if (held.versions >= versionsPerModel) throw full(`${versionsPerModel} versions of a model`)
  if (held.bytes + one.bytes > bytes) throw full(`${bytes} bytes of models`)
}

/** Throws FS_CONFLICT when a number means another package already. */
export function assertSame(one: KeptPackage, known: { readonly packageDigest: string } | undefined): void {
  if (known !== undefined && known.packageDigest !== one.packageDigest)
    throw new ForeshockError(
      'FS_CONFLICT',
      `${one.model} ${one.version} is another package (${known.packageDigest}); give this one the next number`,
    )
}

const full = (what: string) =>
  new ForeshockError('FS_CONFLICT', `no more than ${what} are kept; remove what is not needed any more`)
