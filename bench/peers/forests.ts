// The forests that ours are set against, as they are published: AWS's in Java from Maven Central, river's in Python from PyPI. Each is kept
// in the cache folder for the next run; FORESHOCK_RCF_JAR and FORESHOCK_RIVER_PYTHON name ones that are there already.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { CACHE, pythonWith, run } from './venv.ts'

const RCF_VERSION = '4.3.0'
const RIVER_VERSION = '0.26.1'

/** What a peer said: CPU ns a point by pass, bytes where it tells them, and its scores. */
export interface PeerRun {
  readonly ns: readonly number[]
  readonly bytes: number | undefined
  readonly scores: readonly number[]
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
  return pythonWith('river', RIVER_VERSION, process.env.FORESHOCK_RIVER_PYTHON)
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
