// How programs in Go are built here: from the sources that Debian's packages bring (golang-github-...-dev), without a
// network and without modules.
import { mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'

/** Where Debian puts the sources of Go libraries. */
export const GO_SOURCES = '/usr/share/gocode'

/** The environment of `go build`. */
export function goEnvironment(): NodeJS.ProcessEnv {
  const cache = join(tmpdir(), 'skewer-go')
  mkdirSync(cache, { recursive: true })
  const path = `${process.env['PATH'] ?? ''}${delimiter}/usr/local/go/bin`
  return { ...process.env, PATH: path, GOPATH: GO_SOURCES, GO111MODULE: 'off', GOCACHE: cache, GOFLAGS: '' }
}
