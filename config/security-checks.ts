// Security that is asked for and not given, or opened further than was probably meant: certificates, proof on links
// (L4), logins, ticket keys (T3), the admin port. What cannot work or leaves a door open is an error; what may be meant
// so is a warning.
import { authChecks } from './auth-checks.ts'
import { checkCertificates, checkKeyPair, checkNoiseKey } from './check-files.ts'
import type { Checked } from './checks.ts'
import { isLoopback } from './networks.ts'
import type { Complaint } from './problems.ts'

export const securityChecks = [
  checkListenerSecurity,
  checkHostSecurity,
  checkLinkKey,
  ...authChecks,
  checkTicketKeys,
  checkNoiseKeys,
  checkAdmin,
]

function checkListenerSecurity({ config, settings, complain, now }: Checked): void {
  for (const [i, listener] of settings.listeners.entries()) {
    const written = config.listeners[i]
    const path = ['listeners', i]
    if (listener.transport === 'udp' && listener.security === 'tls') {
      complain([...path, 'security'], {
        what: 'means nothing for transport udp',
        got: 'tls',
        expected: 'noise or none',
      })
    } else if (listener.transport === 'http' && listener.security === 'noise') {
      complain([...path, 'security'], {
        what: 'means nothing for transport http',
        got: 'noise',
        expected: 'tls or none',
      })
    } else if (listener.security === 'tls' && !listener.tls) {
      complain([...path, 'security'], {
        what: 'tls needs certificates',
        expected: 'a `tls` block with certFile and keyFile',
      })
    } else if (listener.security !== 'tls' && listener.tls) {
      complain([...path, 'security'], { what: 'there is a `tls` block', got: listener.security, expected: 'tls' })
    }
    if (listener.tls) {
      const { certFile, keyFile, clientCaFile } = listener.tls
      const at = (key: string) => (complaint: Complaint) => complain([...path, 'tls', key], complaint)
      checkKeyPair(certFile, keyFile, at('certFile'), at('keyFile'), now)
      if (clientCaFile) checkCertificates(clientCaFile, at('clientCaFile'), now)
    }
    if (isLoopback(listener.host)) continue
    if (listener.security === 'none' && written.security === undefined) {
      const what = 'what players send to this listener is not encrypted'
      const expected = 'a `tls` block, or `security: none` where something in front encrypts'
      complain(path, { severity: 'warning', what, expected })
    }
    if (settings.auth.kind === 'development') {
      const what = 'with development authentication, whoever reaches this address can be any user'
      const severity = config.auth ? 'warning' : 'error'
      complain([[...path, 'host']], {
        severity,
        what,
        got: listener.host,
        expected: '127.0.0.1, or `auth` with a `jwt` block',
      })
    }
  }
}

function checkHostSecurity({ settings, complain, now }: Checked): void {
  for (const [i, host] of settings.hosts.entries()) {
    const path = ['hosts', i]
    if (host.security !== 'tls' && host.tls) {
      complain([...path, 'security'], { what: 'there is a `tls` block', got: host.security, expected: 'tls' })
    } else if (host.security !== 'noise' && host.publicKey) {
      complain([...path, 'security'], { what: 'there is a `publicKey`', got: host.security, expected: 'noise' })
    } else if (host.security === 'noise' && !host.publicKey) {
      const expected = 'a `publicKey`, as `skewer keygen noise` prints it on the host'
      complain([...path, 'security'], { what: "noise needs the host's key", expected })
    }
    const { caFile, certFile, keyFile } = host.tls ?? {}
    const at = (key: string) => (complaint: Complaint) => complain([...path, 'tls', key], complaint)
    if (caFile) checkCertificates(caFile, at('caFile'), now)
    if (certFile && keyFile) checkKeyPair(certFile, keyFile, at('certFile'), at('keyFile'), now)
    else if (certFile) at('certFile')({ what: 'needs its `keyFile`' })
    else if (keyFile) at('keyFile')({ what: 'needs its `certFile`' })
  }
}

/** L4: beyond this machine the two ends of a link prove themselves by the shared key, by certificates or by Noise. */
function checkLinkKey({ settings, complain }: Checked): void {
  if (settings.linkKey !== undefined) return
  for (const [i, host] of settings.hosts.entries()) {
    if (host.address.startsWith('unix:') || host.tls?.certFile || host.security === 'noise') continue
    const name = host.address.replace(/:\d+$/, '').replace(/^\[|\]$/g, '')
    if (isLoopback(name)) continue
    const what = 'a host that is not on this machine needs proof of who dials it (L4)'
    const expected = 'a `linkKey` (`skewer keygen` makes one), `tls` with certFile and keyFile, or a `publicKey`'
    complain(['hosts', i, 'address'], { what, got: host.address, expected })
  }
}

function checkTicketKeys({ settings, complain }: Checked): void {
  const roles = ['current', 'next', 'previous'] as const
  for (const [i, role] of roles.entries()) {
    const same = roles.slice(0, i).find((other) => settings.ticketKeys?.[other]?.id === settings.ticketKeys?.[role]?.id)
    if (!same || !settings.ticketKeys?.[role]) continue
    complain(['ticketKeys', role], { what: `is the same key as \`${same}\`` }, 'key')
  }
}

function checkNoiseKeys({ settings: { noise }, complain }: Checked): void {
  if (noise === undefined) return
  const { keyFile, previousKeyFile } = noise
  const key = checkNoiseKey(keyFile, (complaint) => complain(['noise', 'keyFile'], complaint))
  if (previousKeyFile === undefined) return
  const path = ['noise', 'previousKeyFile']
  const previous = checkNoiseKey(previousKeyFile, (complaint) => complain(path, complaint))
  if (key === undefined || key.publicKey !== previous?.publicKey) return
  complain(path, { what: 'is the same key as `keyFile`', got: previousKeyFile })
}

function checkAdmin({ settings: { admin }, complain }: Checked): void {
  if (!admin.enabled) return
  if (!isLoopback(admin.host) && admin.token === undefined) {
    const what = 'whoever reaches this address could operate the gateway'
    complain(['admin', 'host'], { what, got: admin.host, expected: '127.0.0.1, or a `token`' })
  }
  if (admin.token !== undefined && admin.token.length < 16) {
    complain(['admin', 'token'], { what: 'is too short', expected: 'at least 16 characters' })
  }
}
