// Who a client is (A1): in development whom it says it is, otherwise whom a JSON Web Token or a host says it is. A bad token is
// answered `unauthenticated` with a sentence that tells nothing of keys or claims beyond what its owner knows; anything
// unexpected is `login_failed`, which comes back.
import { randomBytes } from 'node:crypto'
import type { AuthSettings } from '../../config/settings.ts'
import type { Authenticator, LoginResult } from '../seams.ts'
import { type Ask, HostLogin } from './host-login.ts'
import { JwtAuthenticator } from './jwt-authenticator.ts'
import type { Warn } from './remote-key-set.ts'
import { tokenText, unauthenticated } from './login-token.ts'

/** Throws where the settings do not make one: a key file that is missing, or of another kind than the algorithms. */
export function authenticatorOf(settings: AuthSettings, warn: Warn, ask: Ask): Authenticator {
  if (settings.kind === 'development') return new DevelopmentAuthenticator()
  return settings.kind === 'jwt' ? new JwtAuthenticator(settings, warn) : new HostLogin(settings, warn, ask)
}

/** Believes everybody: for development only. An empty token makes a guest. */
class DevelopmentAuthenticator implements Authenticator {
  login(token: Uint8Array, _address: string, done: (result: LoginResult) => void): void {
    const user = token.length === 0 ? `guest-${randomBytes(6).toString('hex')}` : tokenText(token)
    if (user === undefined || !/^[A-Za-z0-9_.-]{1,64}$/.test(user)) {
      done(unauthenticated('a development token is the name of the user: 1 to 64 of A-Z a-z 0-9 _ . -'))
    } else {
      done({ ok: true, user, labels: {} })
    }
  }
}
