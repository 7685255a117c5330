// The proofs of both handshakes against their vectors (CLI-4.2, LNK-4.1, L4, A1), and that each part of them counts.
import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import t from 'tap'
import { resumeProof } from '../../gateway/tickets.ts'
import { linkProof, sameBytes } from '../../protocols/link/proof.ts'
import { bytesOf } from './vector-files.ts'

type ResumeVector = { name: string; secret: string; nonce: string; binding: string; proof: string }
type LinkVector = {
  name: string
  key: string
  role: 'gateway' | 'host'
  proverNonce: string
  otherNonce: string
  proverName: string
  otherName: string
  proof: string
}
const vectors: { resume: ResumeVector[]; link: LinkVector[] } = JSON.parse(
  readFileSync(new URL('../vectors/proofs.json', import.meta.url), 'utf8'),
)

const hmac = (key: Uint8Array, ...parts: Uint8Array[]): Uint8Array => {
  const mac = createHmac('sha256', key)
  for (const part of parts) mac.update(part)
  return mac.digest()
}
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

t.test('the proof of a ticket', async (t) => {
  for (const v of vectors.resume) {
    t.equal(hex(resumeProof(hmac, bytesOf(v.secret), bytesOf(v.nonce), bytesOf(v.binding))), v.proof, v.name)
  }
})

t.test('the proof of a link key', async (t) => {
  const proofOf = (v: LinkVector): string =>
    hex(
      linkProof(
        hmac,
        new TextEncoder().encode(v.key),
        v.role,
        { nonce: bytesOf(v.proverNonce), name: v.proverName },
        { nonce: bytesOf(v.otherNonce), name: v.otherName },
      ),
    )
  for (const v of vectors.link) t.equal(proofOf(v), v.proof, v.name)
  const [first] = vectors.link
  const others: Partial<LinkVector>[] = [
    { key: 'another key' },
    { role: 'host' },
    { proverNonce: first.otherNonce },
    { otherNonce: first.proverNonce },
    { proverName: 'gw-2' },
    { otherName: 'host-b' },
    { proverName: 'gw-1h', otherName: 'ost-a' },
  ]
  for (const other of others) t.not(proofOf({ ...first, ...other }), first.proof, JSON.stringify(other))
})

t.test('proofs are compared whole', async (t) => {
  const proof = bytesOf(vectors.link[0].proof)
  t.ok(sameBytes(proof, proof.slice()))
  for (let i = 0; i < proof.length; i++) {
    const other = proof.slice()
    other[i] ^= 1
    t.notOk(sameBytes(proof, other), `byte ${i}`)
  }
  t.notOk(sameBytes(proof, proof.slice(0, 31)))
  t.notOk(sameBytes(new Uint8Array(0), proof))
})
