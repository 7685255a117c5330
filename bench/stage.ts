// What every scenario starts from: a folder of its own, an echo host, gateways in front of it.
import type { Crew, Worker } from './crew.ts'
import { type GatewayChoices, GatewayProcess } from './gateway-process.ts'
import type { BenchOptions } from './options.ts'
import type { EchoHostStarted, ToEchoHost } from './processes/echo-host.ts'
import type { PhaseRow, Round } from './report.ts'

const START_MS = 30_000

export type Stage = {
  crew: Crew
  folder: string
  /** bin/skewer. */
  launcher: string
  /** Whether the gateways that were started run with the accelerator. */
  isAccelerated?: boolean
  say(text: string): void
}

/** Rounds by subject, the gateway first; violations are promises that were not kept. */
export type Outcome = {
  rounds: Record<string, Round[]>
  violations: string[]
  phases?: PhaseRow[]
  /** What was asked for, where it is not the options that all scenarios share. */
  options?: Record<string, unknown>
}
export type Scenario = (stage: Stage, options: BenchOptions) => Promise<Outcome>

export async function startEchoHost(
  stage: Stage,
  { payloadBytes }: BenchOptions,
  { pushRate = 0, publishRate = 0, counted = '' } = {},
): Promise<{ worker: Worker; address: string }> {
  const worker = stage.crew.work('the echo host', new URL('./processes/echo-host.ts', import.meta.url))
  const start: ToEchoHost = { kind: 'start', pushRate, publishRate, payloadBytes, counted }
  const { address } = await worker.ask<EchoHostStarted>(start, START_MS)
  return { worker, address }
}

export async function startGateway(
  stage: Stage,
  name: string,
  hostAddress: string,
  choices: GatewayChoices = {},
): Promise<GatewayProcess> {
  const gateway = new GatewayProcess(stage.crew, stage.launcher, stage.folder, name, hostAddress, choices)
  await gateway.start()
  stage.isAccelerated = gateway.isAccelerated
  return gateway
}
