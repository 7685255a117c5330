// Which host a new actor goes to (P2): weighted rendezvous hashing of its name over the hosts, so that every gateway comes
// to the same answer without asking and a host that joins or leaves moves only its own share.
//
//   score(host) = -weight / ln(u), u = hash(host, service/key) in (0, 1); the highest wins

/** FNV-1a over the UTF-16 units, both halves. */
export function hashName(text: string, seed = 0x811c9dc5): number {
  let hash = seed
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    hash = Math.imul(hash ^ (unit & 0xff), 0x01000193)
    hash = Math.imul(hash ^ (unit >>> 8), 0x01000193)
  }
  return hash >>> 0
}

/** The finalizer of MurmurHash3: every input bit reaches every output bit. */
function mix(hash: number): number {
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

/** How much a host of this weight wants the actor; 0 for weight 0. */
export function placementScore(hostHash: number, actorHash: number, weight: number): number {
  if (weight <= 0) return 0
  const u = (mix(hostHash ^ mix(actorHash)) + 0.5) / 2 ** 32
  return -weight / Math.log(u)
}

/** Where an actor stands between 0 and 1, whatever the hosts: those below a canary's share are its actors. */
export function placementShare(actorHash: number): number {
  return mix(mix(actorHash ^ 0x9e3779b9)) / 2 ** 32
}
