// Shows that what ratios rest on holds: sides take turns and are closed whatever happens, a script is a side in a process of
// its own, CPU and memory of another process are read as it reads its own, and the idiomatic control does its work.
import { spawn } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { IdiomaticScorer } from '../../bench/control/idiomatic.ts'
import { FleetBodies } from '../../bench/headline/bodies.ts'
import { cpuSecondsOf, residentOf } from '../../bench/process-stat.ts'
import { ratios, type Side, scriptSide, takeTurns } from '../../bench/turns.ts'

describe('turns', () => {
  const side = (name: string, log: string[], fails = Number.POSITIVE_INFINITY): Side => ({
    name,
    turn: async t => {
      if (t === fails) throw new Error(`${name} broke`)
      log.push(`${name}${t}`)
      return t
    },
    close: async () => {
      log.push(`${name} closed`)
    },
  })

  it('go round, without those that only warm up', async () => {
    const log: string[] = []
    const found = await takeTurns([side('a', log), side('b', log)], { warm: 1, repetitions: 2 })
    expect(log).toEqual(['a0', 'b0', 'a1', 'b1', 'a2', 'b2', 'a closed', 'b closed'])
    expect(found).toEqual({ a: [1, 2], b: [1, 2] })
    expect(ratios([2, 9], [1, 3])).toEqual([2, 3])
  })

  it('close all sides when one breaks', async () => {
    const log: string[] = []
    const taken = takeTurns([side('a', log), side('b', log, 1)], { warm: 1, repetitions: 2 })
    await expect(taken).rejects.toThrow('b broke')
    expect(log.slice(-2)).toEqual(['a closed', 'b closed'])
  })

  it('are taken by scripts in processes of their own', async () => {
    const found = await takeTurns([await scriptSide('json', 'json', ['100', '50', '1'])], {
      warm: 1,
      repetitions: 2,
    })
    expect(found.json).toHaveLength(2)
    expect(found.json.every(ns => ns > 10 && ns < 1e6)).toBe(true)
  })
})

describe('what Linux says of a process', () => {
  it('is its CPU time and its memory', async () => {
    const work =
      'const e=Date.now()+60000;let n=0;process.on("message",()=>{const u=process.cpuUsage();process.send([(u.user+u.system)/1e6,process.memoryUsage().rss])});const a=new Uint8Array(5e7).fill(1);const i=setInterval(()=>{for(let k=0;k<3e7;k++)n+=k},1)'
    const child = spawn(process.execPath, ['-e', work], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    try {
      await new Promise(done => setTimeout(done, 700))
      const own = new Promise<[number, number]>(done =>
        child.once('message', said => done(said as [number, number])),
      )
      child.send('say')
      const [cpu, rss] = await own
      const seen = cpuSecondsOf(child.pid ?? 0)
      expect(cpu).toBeGreaterThan(0.05)
      expect(Math.abs(seen - cpu)).toBeLessThan(0.3 * cpu + 0.1)
      const { now, peak } = residentOf(child.pid ?? 0)
      expect(now / rss).toBeGreaterThan(0.8)
      expect(now / rss).toBeLessThan(1.25)
      expect(peak).toBeGreaterThanOrEqual(now)
    } finally {
      child.kill('SIGKILL')
    }
  })

  it('is an error of a process that is not there', () => {
    expect(() => cpuSecondsOf(2 ** 22 + 1)).toThrow()
  })
})

describe('the idiomatic control', () => {
  it('knows every series once and scores every sample', () => {
    const bodies = new FleetBodies(500, 250, 15_000)
    const control = new IdiomaticScorer()
    let scores = 0
    for (let t = 0; t < 30; t++)
      for (let b = 0; b < bodies.count; b++)
        scores += control.write(bodies.body(b, t, 1.79e12 + t * 15_000)).length
    expect(control.size).toBe(bodies.fleet.series)
    expect(scores).toBe(30 * bodies.fleet.series)
    // It takes counters as they come, which only grow; gauges stay around their level.
    const last = control.write(bodies.body(0, 30, 1.79e12 + 30 * 15_000))
    const mean = (metric: string) => {
      const found = last.filter(({ key }) => key.includes(metric))
      return found.reduce((sum, { score }) => sum + score, 0) / found.length
    }
    expect(mean('http_requests_total')).toBeGreaterThan(3 * mean('process_resident_memory_bytes'))
  })
})
