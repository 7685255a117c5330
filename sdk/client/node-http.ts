// Requests of an HttpCarrier on Node: the stream has a socket of its own, the POSTs share one that is kept.
import http from 'node:http'
import https from 'node:https'
import type { HttpClient, HttpRequest, StreamEvents } from './http-carrier.ts'

export class NodeHttp implements HttpClient {
  readonly #module: typeof http | typeof https
  readonly #tls: object
  readonly #agent: http.Agent

  /** @param tls what `tls.connect` takes, for https. */
  constructor(isTls: boolean, tls: object = {}) {
    this.#module = isTls ? https : http
    this.#tls = isTls ? tls : {}
    this.#agent = new this.#module.Agent({ keepAlive: true, maxSockets: 1, ...this.#tls })
  }

  stream(url: URL, headers: Record<string, string>, events: StreamEvents): HttpRequest {
    const request = this.#module.request(url, { method: 'POST', headers, agent: false, ...this.#tls })
    let isOver = false
    const ended = (cause?: unknown) => {
      if (isOver) return
      isOver = true
      request.destroy()
      events.ended(cause)
    }
    request.on('response', (response) => {
      if (response.statusCode !== 200) {
        ended(new Error(`the gateway answered ${response.statusCode}`))
        return
      }
      response.setEncoding('latin1')
      response.on('data', (piece: string) => {
        if (!isOver) events.text(piece)
      })
      response.on('error', ended)
      response.on('close', () => ended())
    })
    request.on('error', ended)
    request.setNoDelay(true)
    request.end()
    return {
      abort() {
        isOver = true
        request.destroy()
      },
    }
  }

  post(
    url: URL,
    headers: Record<string, string>,
    body: Uint8Array,
    done: (status: number | undefined, cause?: unknown) => void,
  ): HttpRequest {
    const request = this.#module.request(url, {
      method: 'POST',
      headers: { ...headers, 'Content-Length': body.length },
      agent: this.#agent,
    })
    let isOver = false
    const ended = (status: number | undefined, cause?: unknown) => {
      if (isOver) return
      isOver = true
      done(status, cause)
    }
    request.on('response', (response) => {
      response.resume()
      // The socket can be used again once the answer is over.
      response.on('end', () => ended(response.statusCode))
      response.on('close', () => ended(undefined))
    })
    request.on('error', (cause) => ended(undefined, cause))
    request.setNoDelay(true)
    request.end(body)
    return {
      abort() {
        isOver = true
        request.destroy()
      },
    }
  }

  end(): void {
    this.#agent.destroy()
  }
}
