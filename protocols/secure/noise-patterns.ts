// The handshake patterns of the Noise Protocol Framework (revision 34, sections 7, 9 and 18): for each the keys known
// beforehand and the tokens of its messages, in turns, the initiator first. Deferred patterns (NK1 ...) included; `psk`
// modifiers are applied to the tokens by `patternOf`. skewer itself uses NK, NKpsk2 and KK (handshakes.ts).

export type Token = 'e' | 's' | 'ee' | 'es' | 'se' | 'ss' | 'psk'
export type Pattern = {
  readonly name: string
  /** Whose static key the other knows before the first message. */
  readonly initiatorKnown: boolean
  readonly responderKnown: boolean
  readonly messages: readonly (readonly Token[])[]
  readonly hasPsk: boolean
}

// `known beforehand : first message / second / third`
const table: Record<string, string> = {
  N: 'r: e es',
  K: 'ir: e es ss',
  X: 'r: e es s ss',
  NN: ': e / e ee',
  NK: 'r: e es / e ee',
  NX: ': e / e ee s es',
  KN: 'i: e / e ee se',
  KK: 'ir: e es ss / e ee se',
  KX: 'i: e / e ee se s es',
  XN: ': e / e ee / s se',
  XK: 'r: e es / e ee / s se',
  XX: ': e / e ee s es / s se',
  IN: ': e s / e ee se',
  IK: 'r: e es s ss / e ee se',
  IX: ': e s / e ee se s es',
  NK1: 'r: e / e ee es',
  NX1: ': e / e ee s / es',
  X1N: ': e / e ee / s / se',
  X1K: 'r: e es / e ee / s / se',
  XK1: 'r: e / e ee es / s se',
  X1K1: 'r: e / e ee es / s / se',
  X1X: ': e / e ee s es / s / se',
  XX1: ': e / e ee s / es s se',
  X1X1: ': e / e ee s / es s / se',
  K1N: 'i: e / e ee / se',
  K1K: 'ir: e es / e ee / se',
  KK1: 'ir: e / e ee se es',
  K1K1: 'ir: e / e ee es / se',
  K1X: 'i: e / e ee s es / se',
  KX1: 'i: e / e ee se s / es',
  K1X1: 'i: e / e ee s / se es',
  I1N: ': e s / e ee / se',
  I1K: 'r: e es s / e ee / se',
  IK1: 'r: e s / e ee se es',
  I1K1: 'r: e s / e ee es / se',
  I1X: ': e s / e ee s es / se',
  IX1: ': e s / e ee se s / es',
  I1X1: ': e s / e ee s / se es',
}

const SUITE = '25519_ChaChaPoly_SHA256'
const kept = new Map<string, Pattern>()

/** The pattern called `name` ('NK', 'XXpsk0+psk3' ...). Throws for one that does not exist. */
export function patternOf(name: string): Pattern {
  let pattern = kept.get(name)
  if (pattern === undefined) {
    pattern = parse(name)
    kept.set(name, pattern)
  }
  return pattern
}

/** The protocol's full name, from which its first hash is made. */
export const protocolName = (pattern: Pattern): string => `Noise_${pattern.name}_${SUITE}`

function parse(name: string): Pattern {
  const [, base, modifiers] = /^([A-Z0-9]+)((?:\+?psk\d)*)$/.exec(name) ?? []
  const row = base === undefined ? undefined : table[base]
  if (row === undefined) throw new Error(`no Noise pattern is called ${name}`)
  const [known, tokens] = row.split(':')
  const messages = tokens.split('/').map((message) => message.trim().split(' ') as Token[])
  const places = [...modifiers.matchAll(/\d/g)].map((digit) => Number(digit[0]))
  for (const place of places) {
    // psk0 stands before the first message's tokens, psk<n> behind those of message n.
    if (place > messages.length) throw new Error(`${base} has no message ${place} for psk${place}`)
    if (place === 0) messages[0].unshift('psk')
    else messages[place - 1].push('psk')
  }
  return {
    name,
    initiatorKnown: known.includes('i'),
    responderKnown: known.includes('r'),
    messages,
    hasPsk: places.length > 0,
  }
}
