// The forests that ours are set against, as they are published: AWS's in Java from Maven Central, river's in Python from PyPI. Each is kept
// in the cache folder for the next run; FORESHOCK_RCF_JAR and FORESHOCK_RIVER_PYTHON name ones that are there already.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'

const RCF_VERSION = '4.3.0'
const RIVER_VERSION = '0.26.1'
const CACHE = join(homedir(), '.cache', 'foreshock')

/** What a peer said: CPU ns a point by pass, bytes where it tells them, and its scores. */
export interface PeerRun {
  readonly ns: readonly number[]
  readonly bytes: number | undefined
  readonly scores: readonly number[]
}

function run(command: string, args: readonly string[], cwd?: string): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    cwd,
  })
  if (error) throw new Error(`${command} cannot be run: ${error.message}`)
  if (status !== 0) throw new Error(`${command} ended with ${status}: ${stderr.slice(-500)}`)
  return stdout
}

function read(said: string): PeerRun {
  const lines = said.trim().split('\n')
  const marked = (word: string) =>
    lines.filter(line => line.startsWith(`${word} `)).map(line => Number(line.split(' ')[1]))
  const scores = lines.filter(line => !/^(ns|bytes) /.test(line)).map(Number)
  return { ns: marked('ns'), bytes: marked('bytes')[0], scores }
}

function rcfJar(): string {
  const given = process.env.FORESHOCK_RCF_JAR
  if (given !== undefined && given !== '') return given
  const home = join(CACHE, `rcf-${RCF_VERSION}`)
  const jar = join(home, `randomcutforest-core-${RCF_VERSION}.jar`)
  if (existsSync(jar)) return jar
  mkdirSync(home, { recursive: true })
  const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>io.foreshock.bench</groupId><artifactId>rcf</artifactId><version>1</version><dependencies><dependency>
<groupId>software.amazon.randomcutforest</groupId><artifactId>randomcutforest-core</artifactId><version>${RCF_VERSION}</version>
</dependency></dependencies></project>`
  writeFileSync(join(home, 'pom.xml'), pom)
  run('mvn', ['-q', '-B', 'dependency:copy-dependencies', `-DoutputDirectory=${home}`], home)
  return jar
}

function riverPython(): string {
  const given = process.env.FORESHOCK_RIVER_PYTHON
  if (given !== undefined && given !== '') return given
  const home = join(CACHE, `river-${RIVER_VERSION}`)
  const python = join(home, 'bin', 'python')
  if (existsSync(join(home, 'ready'))) return python
  run('python3', ['-m', 'venv', home])
  run(python, ['-m', 'pip', 'install', '-q', `river==${RIVER_VERSION}`])
  writeFileSync(join(home, 'ready'), '')
  return python
}

/** AWS's forest over the points of a file. Throws with the reason where it cannot be had. */
export function runJavaForest(
  file: string,
  dimensions: number,
  trees: number,
  samples: number,
  passes: number,
  seed: number,
): PeerRun {
  const source = resolve(import.meta.dirname, '../java/Forest.java')
  const args = [dimensions, trees, samples, passes, seed].map(String)
  return read(run('java', ['-XX:+UseSerialGC', '-cp', rcfJar(), source, file, ...args]))
}

/** river's trees over the points of a file, each in 0..1. Throws with the reason where they cannot be had. */
export function runRiverTrees(
  file: string,
  {
    dimensions,
    trees,
    height,
    window,
    passes,
    seed,
  }: Record<'dimensions' | 'trees' | 'height' | 'window' | 'passes' | 'seed', number>,
): PeerRun {
  const script = resolve(import.meta.dirname, '../python/half_space.py')
  return read(
    run(riverPython(), [script, file, ...[dimensions, trees, height, window, passes, seed].map(String)]),
  )
}
