// One client over one transport that sends far more than it may, at a pace, in a process of its own. It counts what it
// hears again: each of those its actor got.
import { bytes, connect } from '../../sdk/client/index.ts'
import { STAMP_BYTES } from '../load/client.ts'
import { answerWith } from '../worker.ts'

/** `url`: of the gateway; `gatewayKey` in base64url for KCP. */
export type AbuserPlan = { url: string; name: string; rate: number; payloadBytes: number }
/** tried: sends, also those that the window or a limit refused. */
export type AbuserState = { tried: number; heard: number; cpuUs: number }
export type ToAbuser = { kind: 'connect'; plan: AbuserPlan } | { kind: 'begin' | 'quiet' | 'state' }

const TICK_MS = 5
let tried = 0
let heard = 0
let timer: NodeJS.Timeout | undefined
let sendOne = () => {}
let rate = 0

function open({ url, name, payloadBytes }: AbuserPlan): void {
  const channel = connect({ gateways: [url], token: name, codec: bytes }).actor('echo', name)
  const payload = new Uint8Array(Math.max(payloadBytes, STAMP_BYTES))
  channel.on('echo.said', () => {
    heard++
  })
  channel.start()
  sendOne = () => {
    try {
      channel.send('echo.say', payload)
    } catch {
      // The window is full: an honest SDK holds even an abuser to it (W1).
    }
  }
}

function begin(): void {
  let last = performance.now()
  timer = setInterval(() => {
    const now = performance.now()
    const due = Math.round(((now - last) * rate) / 1000)
    for (let i = 0; i < due; i++) sendOne()
    tried += due
    last = now
  }, TICK_MS)
}

answerWith<ToAbuser>((message) => {
  if (message.kind === 'connect') {
    rate = message.plan.rate
    open(message.plan)
  } else if (message.kind === 'begin') begin()
  else if (message.kind === 'quiet') clearInterval(timer)
  const { user, system } = process.cpuUsage()
  return { tried, heard, cpuUs: user + system } satisfies AbuserState
})
