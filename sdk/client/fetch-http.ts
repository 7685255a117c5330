// Requests of an HttpCarrier by fetch, as a browser has it.
import type { HttpClient, HttpRequest, StreamEvents } from './http-carrier.ts'

const options = { method: 'POST', cache: 'no-store', credentials: 'omit', redirect: 'error' } as const

export const fetchHttp: HttpClient = {
  stream(url, headers, events) {
    const aborter = new AbortController()
    read(url, headers, aborter.signal, events).then(
      () => aborter.signal.aborted || events.ended(),
      (cause: unknown) => aborter.signal.aborted || events.ended(cause),
    )
    return aborter
  },

  post(url, headers, body, done): HttpRequest {
    const aborter = new AbortController()
    fetch(url, { ...options, headers, body: body as Uint8Array<ArrayBuffer>, signal: aborter.signal }).then(
      ({ status }) => aborter.signal.aborted || done(status),
      (cause: unknown) => aborter.signal.aborted || done(undefined, cause),
    )
    return aborter
  },

  end() {},
}

async function read(url: URL, headers: Record<string, string>, signal: AbortSignal, events: StreamEvents) {
  const response = await fetch(url, { ...options, headers, signal })
  if (response.status !== 200 || response.body === null) throw new Error(`the gateway answered ${response.status}`)
  const reader = response.body.getReader()
  const decoder = new TextDecoder('latin1')
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    if (!signal.aborted) events.text(decoder.decode(value, { stream: true }))
  }
}
