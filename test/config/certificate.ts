// A self-signed certificate for localhost, written as DER by hand (RFC 5280), so that tests of TLS need no program from
// outside and no key in the repository.
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'

const DAY_MS = 86_400_000

/** Writes certificate and key, PEM; valid from yesterday, for so many days from now. */
export function makeCertificate(certFile: string, keyFile: string, days = 2): void {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const ecdsaWithSha256 = sequence(objectId([1, 2, 840, 10045, 4, 3, 2]))
  const name = sequence(set(sequence(objectId([2, 5, 4, 3]), tagged(0x0c, Buffer.from('localhost')))))
  const now = Date.now()
  const dnsLocalhost = tagged(0x82, Buffer.from('localhost'))
  const loopback = tagged(0x87, Buffer.from([127, 0, 0, 1]))
  const altNames = sequence(objectId([2, 5, 29, 17]), tagged(0x04, sequence(dnsLocalhost, loopback)))
  const toBeSigned = sequence(
    tagged(0xa0, integer(Buffer.from([2]))),
    integer(Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ecdsaWithSha256,
    name,
    sequence(time(now - DAY_MS), time(now + days * DAY_MS)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    tagged(0xa3, sequence(altNames)),
  )
  const signature = sign('sha256', toBeSigned, privateKey)
  const certificate = sequence(toBeSigned, ecdsaWithSha256, tagged(0x03, Buffer.concat([Buffer.from([0]), signature])))
  fs.mkdirSync(path.dirname(certFile), { recursive: true })
  const base64 = certificate.toString('base64').replace(/.{64}/g, '$&\n')
  fs.writeFileSync(certFile, `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`)
  fs.writeFileSync(keyFile, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
}

function tagged(tag: number, content: Buffer): Buffer {
  const { length } = content
  const head =
    length < 128 ? [tag, length] : length < 256 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 255]
  return Buffer.concat([Buffer.from(head), content])
}

const sequence = (...parts: Buffer[]) => tagged(0x30, Buffer.concat(parts))
const set = (...parts: Buffer[]) => tagged(0x31, Buffer.concat(parts))
const integer = (bytes: Buffer) => tagged(0x02, bytes)

function objectId([first, second, ...rest]: number[]): Buffer {
  const bytes = rest.flatMap((part) => {
    const digits = [part & 127]
    for (let left = part >> 7; left > 0; left >>= 7) digits.unshift((left & 127) | 128)
    return digits
  })
  return tagged(0x06, Buffer.from([first * 40 + second, ...bytes]))
}

/** UTCTime, which holds until 2049. */
function time(ms: number): Buffer {
  const text = new Date(ms).toISOString().replace(/[-:T]/g, '').slice(2, 14)
  return tagged(0x17, Buffer.from(`${text}Z`))
}
