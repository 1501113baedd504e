/** Labels that name one of several running copies of an entity, in order of preference. */
export const INSTANCE_LABELS: readonly string[] = [
  'service_instance_id',
  'service.instance.id',
  'instance',
  'pod',
  'k8s_pod_name',
  'host',
  'host_name',
]

/** Which running copy of its entity a series is of; empty where none is named. */
export function instanceOf({ labels }: { readonly labels: Readonly<Record<string, string>> }): string {
  for (const label of INSTANCE_LABELS) {
    const value = labels[label]
    if (value !== undefined && value !== '') return value
  }
  return ''
}
