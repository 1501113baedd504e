// Shows that the compose file and the Kubernetes manifests start what there is: their configurations pass the schema
// in every role, every FORESHOCK_ variable sets a key, every mounted file exists, every process runs as nobody on a
// read-only root; every role of the fleet has a workload, probes on routes that exist, and a disruption budget.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { COMMANDS } from '../../src/commands/catalogue.ts'
import { ROLES } from '../../src/config/cluster.ts'
import { parseConfig } from '../../src/config.ts'
import { DEPLOY, type Manifest, manifests, text, yaml } from './files.ts'

const compose = yaml<{ services: Record<string, Manifest> }>('compose.yaml')
const ours = Object.entries(compose.services).filter(([, service]) => service.image?.startsWith('foreshock:'))

/** Sets every variable once, by itself, and tells those that change nothing. */
function idle(environment: Readonly<Record<string, string>>, written: unknown): string[] {
  const plain = JSON.stringify(parseConfig(written))
  return Object.entries(environment)
    .filter(([name]) => name.startsWith('FORESHOCK_') && name !== 'FORESHOCK_CONFIG')
    .filter(
      ([name, value]) => JSON.stringify(parseConfig(written, { environment: { [name]: value } })) === plain,
    )
    .map(([name]) => name)
}

describe('the compose file', () => {
  const written = yaml<unknown>('foreshock.yaml')

  it('gives each role a process, configured as the schema has it', () => {
    const roles = ours.flatMap(([, { environment }]) => environment.FORESHOCK_CLUSTER_ROLES ?? [])
    expect([...new Set(roles)].sort()).toEqual([...ROLES].sort())
    expect(roles.filter(role => role === 'scorer').length).toBe(2)
    for (const [name, { environment }] of ours) {
      const config = parseConfig(written, { environment })
      expect(config.server.host, name).toBe('0.0.0.0')
      expect(config.auth.keys.length, name).toBeGreaterThan(0)
      expect(idle(environment, written), name).toEqual([])
      if (environment.FORESHOCK_CLUSTER_ADVERTISE)
        expect(config.cluster?.advertise, name).toBe(`http://${name}:${config.server.port}`)
    }
  })

  it('runs ours as nobody, with a read-only root, on files that exist', () => {
    for (const [name, service] of ours) {
      expect(service, name).toMatchObject({ read_only: true, cap_drop: ['ALL'] })
      if (service.command) expect(Object.keys(COMMANDS), name).toContain(service.command[0])
    }
    for (const [name, service] of Object.entries(compose.services)) {
      for (const volume of (service.volumes ?? []) as string[]) {
        const source = volume.split(':')[0]
        if (source.startsWith('./')) expect(existsSync(join(DEPLOY, source)), `${name}: ${volume}`).toBe(true)
      }
      for (const port of (service.ports ?? []) as string[]) expect(port, name).toMatch(/^127\.0\.0\.1:/)
      for (const other of Object.keys(service.depends_on ?? {}))
        expect(Object.keys(compose.services), name).toContain(other)
    }
  })

  it('names hosts that are services of it', () => {
    const services = Object.keys(compose.services)
    const { cluster } = parseConfig(written)
    const hosts = [
      ...(cluster?.kafka.brokers ?? []),
      new URL(cluster?.redis.url ?? '').host,
      ...[...text('prometheus/prometheus.yml').matchAll(/'([\w-]+:\d+)'/g)].map(([, host]) => host),
      ...[...text('grafana/provisioning/datasources/foreshock.yaml').matchAll(/http:\/\/(\S+)/g)].map(
        ([, host]) => host,
      ),
    ].map(host => host.split(':')[0])
    expect(hosts.filter(host => host !== 'localhost' && !services.includes(host))).toEqual([])
    const scraped = yaml<{ scrape_configs: Manifest[] }>('prometheus/prometheus.yml').scrape_configs[0]
    const targets = scraped.static_configs[0].targets as string[]
    expect(targets.map(target => target.split(':')[0]).sort()).toEqual(
      ours
        .map(([name]) => name)
        .filter(name => name !== 'topics')
        .sort(),
    )
  })
})

describe('the Kubernetes manifests', () => {
  const written = yaml<unknown>('kubernetes/foreshock.yaml')
  const objects = manifests('kubernetes')
  const workloads = objects.filter(one => ['Deployment', 'StatefulSet', 'Job'].includes(one.kind))
  const component = (one: Manifest): string => one.metadata.labels['app.kubernetes.io/component']
  const container = (one: Manifest): Manifest => one.spec.template.spec.containers[0]
  const environmentOf = (one: Manifest): Record<string, string> =>
    Object.fromEntries(
      ((container(one).env ?? []) as Manifest[]).map(({ name, value }) => [
        name,
        (value ?? 'pod-0').replace('$(POD_IP)', '10.0.0.1'),
      ]),
    )

  it('give each role a workload of its own, configured as the schema has it', () => {
    expect(workloads.map(component).sort()).toEqual([...ROLES, 'topics'].sort())
    for (const one of workloads) {
      const environment = environmentOf(one)
      const config = parseConfig(written, { environment })
      expect(idle(environment, written), component(one)).toEqual([])
      if (one.kind === 'Job') continue
      expect(config.cluster?.roles).toEqual([component(one)])
      expect(config.cluster?.member).toBe('pod-0')
      const ports = (container(one).ports as Manifest[]).map(port => port.containerPort)
      expect(ports).toEqual([config.server.port, 4317])
    }
    expect(workloads.find(one => one.kind === 'StatefulSet')).toMatchObject({
      metadata: { name: 'foreshock-scorer' },
    })
  })

  it('run restricted: nobody, no capabilities, a read-only root, a limit of memory above the heap', () => {
    for (const one of workloads) {
      const pod = one.spec.template.spec as Manifest
      expect(pod.automountServiceAccountToken).toBe(false)
      expect(pod.securityContext).toMatchObject({
        runAsNonRoot: true,
        seccompProfile: { type: 'RuntimeDefault' },
      })
      expect(container(one).securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      })
      const limit = /^(\d+)(Mi|Gi)$/.exec(container(one).resources.limits.memory) as RegExpExecArray
      const mebibytes = Number(limit[1]) * (limit[2] === 'Gi' ? 1024 : 1)
      const heap = /--max-old-space-size=(\d+)/.exec(environmentOf(one).NODE_OPTIONS ?? '')
      const { server, ingest } = parseConfig(written, { environment: environmentOf(one) })
      // Only gateways take bodies, which lie beside the heap.
      const isGateway = component(one) === 'gateway'
      const bodies = isGateway ? (server.maxArrivingBytes + ingest.maxQueuedBytes) / 2 ** 20 : 0
      if (heap) expect(Number(heap[1]) + bodies, component(one)).toBeLessThanOrEqual(0.8 * mebibytes)
      expect(Object.keys(COMMANDS)).toContain(container(one).args[0])
    }
  })

  it('ask for life and readiness, and let one go at a time', () => {
    const budgets = objects.filter(one => one.kind === 'PodDisruptionBudget')
    for (const one of workloads.filter(({ kind }) => kind !== 'Job')) {
      const { livenessProbe, readinessProbe, startupProbe } = container(one)
      expect(livenessProbe.httpGet).toEqual({ path: '/livez', port: 'http' })
      expect(startupProbe.httpGet).toEqual({ path: '/livez', port: 'http' })
      expect(readinessProbe.httpGet).toEqual({ path: '/readyz', port: 'http' })
      const own = budgets.filter(
        budget => JSON.stringify(budget.spec.selector) === JSON.stringify(one.spec.selector),
      )
      expect(own.map(budget => budget.spec.maxUnavailable)).toEqual([1])
      const labels = one.spec.template.metadata.labels
      expect(labels).toMatchObject(one.spec.selector.matchLabels)
    }
  })

  it('never ask for more scorers than there are partitions', () => {
    const { cluster } = parseConfig(written)
    const scalers = [...objects, ...manifests('keda')].filter(
      one => one.spec?.scaleTargetRef?.name === 'foreshock-scorer',
    )
    expect(scalers.map(one => one.kind).sort()).toEqual(['HorizontalPodAutoscaler', 'ScaledObject'])
    for (const { spec } of scalers)
      expect(spec.maxReplicas ?? spec.maxReplicaCount).toBeLessThanOrEqual(cluster?.partitions.samples ?? 0)
  })

  it('are all named by the kustomization, the secret apart', () => {
    const { resources } = yaml<{ resources: string[] }>('kubernetes/kustomization.yaml')
    const files = readdirSync(join(DEPLOY, 'kubernetes')).filter(name => name.endsWith('.yaml'))
    const others = ['kustomization.yaml', 'foreshock.yaml', 'secret.example.yaml']
    expect([...resources].sort()).toEqual(files.filter(name => !others.includes(name)).sort())
  })

  const kubectl = spawnSync('kubectl', ['version', '--client']).status === 0
  it.skipIf(!kubectl)('are put together by kustomize, with KEDA in place of the scaler by CPU', () => {
    for (const [folder, scaler] of [
      ['kubernetes', 'HorizontalPodAutoscaler'],
      ['keda', 'ScaledObject'],
    ]) {
      const ran = spawnSync('kubectl', ['kustomize', join(DEPLOY, folder)], { encoding: 'utf8' })
      expect(ran.status, ran.stderr).toBe(0)
      const scalers = ran.stdout
        .split('\n---\n')
        .filter(one => one.includes('scaleTargetRef') && one.includes('name: foreshock-scorer'))
      expect(scalers.map(one => /^kind: (\w+)/m.exec(one)?.[1])).toEqual([scaler])
      expect(ran.stdout).toMatch(/name: foreshock-config-\w+/)
    }
  })
})
