// What can be asked of a proof, checked as a whole before anything is started.
import process from 'node:process'
import { parseArgs } from 'node:util'

export const transportNames = ['tcp', 'ws', 'kcp'] as const
export type TransportName = (typeof transportNames)[number]

export type ProofOptions = {
  seconds: number
  clients: number
  /** Messages a second that each client wants to send; what its windows do not take is not sent. */
  rate: number
  transports: TransportName[]
  /** Shares of datagrams, 0 to 1. */
  lossShare: number
  corruptShare: number
  duplicateShare: number
  reorderShare: number
  /** Mean times between two of the same trouble, in milliseconds; Infinity: never. */
  killMs: number
  cutMs: number
  hopMs: number
  connectionCutMs: number
  rebindMs: number
  /** Noise on TCP and WebSocket, too. */
  isSealed: boolean
  sabotage: string
  isJson: boolean
}

const sabotages = ['swallow', 'repeat', 'swap']
const USAGE = `usage: npm run proof -- [--seconds N] [--clients N] [--rate messages/s a client]
       [--transports ${transportNames.join(',')}] [--loss %] [--corrupt %] [--duplicate %] [--reorder %]
       [--noise] [--rebind] [--rebind-ms N] [--kill-ms N] [--cut-ms N] [--hop-ms N] [--connection-cut-ms N]
       [--sabotage ${sabotages.join('|')}] [--json]
Players hop between all transports named. --loss, --corrupt, --duplicate and --reorder are shares of datagrams; --rebind
changes the addresses of players in mid-session; --noise seals TCP and WebSocket, too, and then --corrupt corrupts them.`

const number = { type: 'string' } as const
const defaults = {
  seconds: '60',
  clients: '200',
  rate: '45',
  loss: '0',
  corrupt: '0',
  duplicate: '0',
  reorder: '0',
  'kill-ms': '5000',
  'cut-ms': '7000',
  'hop-ms': '8000',
  'connection-cut-ms': '3000',
  'rebind-ms': '2000',
}

export function readOptions(): ProofOptions {
  const { values } = parseArgs({
    options: {
      seconds: number,
      clients: number,
      rate: number,
      transports: { type: 'string', default: transportNames.join(',') },
      loss: number,
      corrupt: number,
      duplicate: number,
      reorder: number,
      noise: { type: 'boolean', default: false },
      rebind: { type: 'boolean', default: false },
      'rebind-ms': number,
      'kill-ms': number,
      'cut-ms': number,
      'hop-ms': number,
      'connection-cut-ms': number,
      sabotage: { type: 'string', default: '' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) {
    console.log(USAGE)
    process.exit(0)
  }
  const positive = (name: keyof typeof defaults): number => {
    const text = values[name] ?? defaults[name]
    const value = Number(text)
    return value > 0 ? value : fail(`--${name} takes a positive number, not ${text}`)
  }
  const share = (name: 'loss' | 'corrupt' | 'duplicate' | 'reorder'): number => {
    const text = values[name] ?? defaults[name]
    const value = Number(text)
    if (text === '' || !(value >= 0 && value <= 50)) fail(`--${name} takes percents from 0 to 50, not ${text}`)
    return value / 100
  }
  if (values.sabotage !== '' && !sabotages.includes(values.sabotage)) fail(`--sabotage takes ${sabotages.join(', ')}`)
  return {
    seconds: positive('seconds'),
    clients: positive('clients'),
    rate: positive('rate'),
    transports: transportsIn(values.transports),
    lossShare: share('loss'),
    corruptShare: share('corrupt'),
    duplicateShare: share('duplicate'),
    reorderShare: share('reorder'),
    killMs: positive('kill-ms'),
    cutMs: positive('cut-ms'),
    hopMs: positive('hop-ms'),
    connectionCutMs: positive('connection-cut-ms'),
    rebindMs: values.rebind ? positive('rebind-ms') : Infinity,
    isSealed: values.noise,
    sabotage: values.sabotage,
    isJson: values.json,
  }
}

function transportsIn(text: string): TransportName[] {
  const names = [...new Set(text.split(','))]
  for (const name of names) {
    if (!(transportNames as readonly string[]).includes(name)) {
      fail(`--transports takes a list of ${transportNames.join(', ')}, not ${text}`)
    }
  }
  return names as TransportName[]
}

function fail(text: string): never {
  console.error(`${text}\n${USAGE}`)
  process.exit(2)
}
