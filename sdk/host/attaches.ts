// LINK_ATTACH, from the first check to the answer (A5, A6, A11). The deciding step is one piece without a wait: judge,
// kill the old handle, read the counters, answer. What may take time comes before it (LOCATE, a hook that returns a
// promise), and after that everything is judged anew.
import { linkKind, writeNotHere } from '../../protocols/link/frames.ts'
import type { LinkAttach } from '../../protocols/link/frames.ts'
import { writeAnswer, writeStale } from '../../protocols/client/frames.ts'
import { code } from '../../protocols/codes.ts'
import { judgeAttach } from '../../protocols/session/host-record.ts'
import { SkewerError } from '../error.ts'
import type { Actor } from './actor.ts'
import type { HostCore } from './core.ts'
import type { Handle } from './handles.ts'
import type { HostLink } from './link.ts'
import type { LaneOwner } from './link-frames.ts'
import { isThenable } from './mailbox.ts'
import { AttachRates } from './rates.ts'
import type { Timed } from './schedule.ts'
import type { Service } from './service.ts'

/** Attaches that wait for LOCATE or for a hook. */
const WAITING_MAX = 16_384
const BUSY_RETRY_MS = 1000

/** An attach under way on its handle, which the gateway may close meanwhile. */
class Attach implements LaneOwner, Timed {
  dueAt = Infinity
  place = -1
  readonly link: HostLink
  readonly handle: Handle
  readonly frame: LinkAttach
  isLocated = false
  isAdmitted = false
  isWaiting = false
  isOver = false
  readonly #attaches: Attaches

  constructor(attaches: Attaches, link: HostLink, handle: Handle, frame: LinkAttach) {
    this.#attaches = attaches
    this.link = link
    this.handle = handle
    this.frame = frame
    handle.owner = this
  }

  handleClosed(): void {
    this.#attaches.over(this)
  }

  /** Nothing is sent on a handle before its ATTACHED (A3, A7). */
  receiveLane(): void {
    this.link.violate('a lane frame before ATTACHED')
  }

  /** The hook took too long. */
  due(): void {
    this.#attaches.refuse(this, code.busy, BUSY_RETRY_MS)
  }
}

export class Attaches {
  readonly #host: HostCore
  readonly #rates: AttachRates
  #waiting = 0

  constructor(host: HostCore) {
    this.#host = host
    this.#rates = new AttachRates(host.settings.attachesPerSession, host.settings.attachesPerHost)
  }

  receive(link: HostLink, a: LinkAttach, now: number): void {
    const handle = link.handles.openTheirs(a.handle)
    if (handle === undefined) {
      link.violate('LINK_ATTACH on a handle that is not free')
      return
    }
    this.#host.counters.attaches++
    const attach = new Attach(this, link, handle, a)
    const waitMs = this.#rates.admit(a.session, now)
    if (waitMs > 0) this.refuse(attach, code.busy, waitMs)
    else this.#step(attach, now)
  }

  /** Goes on with an attach, as far as it can without waiting. */
  #step(attach: Attach, now: number): void {
    if (attach.isOver) return
    const host = this.#host
    const a = attach.frame
    const service = host.services.get(a.service)
    if (service === undefined) {
      this.refuse(attach, code.no_service)
      return
    }
    // An actor may talk to every actor; only a gateway names one, by a session that begins so (P6).
    if (service.keys === 'user' && a.key !== a.user && !a.session.startsWith('a:')) {
      this.refuse(attach, code.not_allowed)
      return
    }
    const kicked = host.kicks.of(a.session, now)
    if (kicked !== code.ok) {
      // It cannot come back: whatever is left of it here has ended.
      host.actor(a.service, a.key)?.bindingOf(a.session)?.end(code.kicked, now)
      this.refuse(attach, kicked)
      return
    }
    const actor = host.actor(a.service, a.key)
    const binding = actor?.bindingOf(a.session)
    const verdict = judgeAttach(binding?.record, a)
    switch (verdict.verdict) {
      case 'stale':
      case 'spent':
        this.#answerStale(attach, verdict.verdict === 'stale' ? linkKind.stale : linkKind.spent, verdict.have)
        return
      case 'not_here':
        if (actor !== undefined || attach.isLocated) this.#answerNotHere(attach, '')
        else this.#locate(attach, now)
        return
      case 'continue':
        binding!.fence()
        this.#begin(attach)
        binding!.answer(attach.link, attach.handle, a, verdict.isReset, now)
        return
    }
    if (actor === undefined && !attach.isLocated && !a.pinned) {
      this.#locate(attach, now)
      return
    }
    if (host.isDraining && actor === undefined) {
      this.refuse(attach, code.going_away, BUSY_RETRY_MS)
      return
    }
    if (!attach.isAdmitted && !this.#admit(attach, service, now)) return
    this.#bind(attach, actor ?? host.activate(service, a.key, now), verdict, now)
  }

  /** A5 `new`, A6: the old life ends, its handle first; the new one is made and offered. */
  #bind(
    attach: Attach,
    actor: Actor,
    verdict: { isReset: boolean; reason: number; hadReceived: number },
    now: number,
  ): void {
    const a = attach.frame
    const old = actor.bindingOf(a.session)
    old?.fence()
    old?.end(code.reset, now)
    const binding = actor.bind(a.session, now)
    if (verdict.isReset) {
      this.#host.counters.resets++
      binding.record.resetWhy = { reason: verdict.reason, hadReceived: verdict.hadReceived }
    }
    this.#begin(attach)
    binding.answer(attach.link, attach.handle, a, verdict.isReset, now)
  }

  /** The handle is the binding's from here on. */
  #begin(attach: Attach): void {
    this.over(attach)
    attach.handle.owner = undefined
  }

  // ---- what may take time ----

  #locate(attach: Attach, now: number): void {
    const a = attach.frame
    this.#wait(attach)
    const done = (hostName: string | undefined, at: number) => {
      if (attach.isOver) return
      this.#unwait(attach)
      attach.isLocated = true
      if (hostName === undefined) this.refuse(attach, code.busy, BUSY_RETRY_MS)
      else if (hostName !== '' && this.#host.actor(a.service, a.key) === undefined)
        this.#answerNotHere(attach, hostName)
      else this.#step(attach, at)
    }
    if (this.#waiting > WAITING_MAX || !this.#host.locates.ask(a.service, a.key, done, now))
      this.refuse(attach, code.busy, BUSY_RETRY_MS)
  }

  /** Asks the service's hook; true: go on at once. */
  #admit(attach: Attach, service: Service, now: number): boolean {
    const { onAttach } = service.definition
    attach.isAdmitted = true
    if (onAttach === undefined) return true
    const { session, user, address, labels, key } = attach.frame
    try {
      const allowed = onAttach({ session, user, address, labels, service: service.name, key })
      if (!isThenable(allowed)) return this.#isAllowed(attach, allowed)
      this.#wait(attach)
      if (this.#waiting > WAITING_MAX) {
        this.refuse(attach, code.busy, BUSY_RETRY_MS)
        return false
      }
      this.#host.schedule.set(attach, now + this.#host.settings.handlerDeadlineMs)
      allowed.then(
        (value) => this.#answered(attach, value),
        (error) => this.#failed(attach, error),
      )
      return false
    } catch (error) {
      this.#failed(attach, error)
      return false
    }
  }

  #answered(attach: Attach, value: unknown): void {
    if (attach.isOver) return
    this.#unwait(attach)
    if (this.#isAllowed(attach, value)) {
      this.#step(attach, this.#host.now)
      this.#host.runReady(this.#host.now)
    }
    this.#host.wake()
  }

  #isAllowed(attach: Attach, value: unknown): boolean {
    if (value !== false) return true
    this.refuse(attach, code.not_allowed)
    return false
  }

  #failed(attach: Attach, error: unknown): void {
    if (attach.isOver) return
    const known = error instanceof SkewerError && error.code !== code.ok
    this.refuse(attach, known ? error.code : code.not_allowed, known ? error.retryMs : 0)
    this.#host.wake()
  }

  #wait(attach: Attach): void {
    attach.isWaiting = true
    this.#waiting++
  }

  #unwait(attach: Attach): void {
    if (!attach.isWaiting) return
    attach.isWaiting = false
    this.#waiting--
    this.#host.schedule.remove(attach)
  }

  over(attach: Attach): void {
    this.#unwait(attach)
    attach.isOver = true
  }

  // ---- answers that are no attachment: the handle is closed behind them (L2) ----

  refuse(attach: Attach, why: number, retryMs = 0): void {
    const { link, frame } = attach
    const { session, service, key, handle, epoch } = frame
    this.#host.counters.attachesRefused++
    this.#host.settings.onEvent({ event: 'attach_refused', session, service, key, code: why })
    writeAnswer(link.writer, linkKind.refused, { channel: handle, epoch, code: why, retryMs })
    this.#close(attach, why)
  }

  #answerStale(attach: Attach, kind: number, have: number): void {
    const { handle, epoch } = attach.frame
    writeStale(attach.link.writer, kind, { channel: handle, epoch, have })
    this.#close(attach, kind === linkKind.spent ? code.spent : code.superseded)
  }

  #answerNotHere(attach: Attach, hostName: string): void {
    const { handle, epoch } = attach.frame
    writeNotHere(attach.link.writer, { handle, epoch, host: hostName })
    this.#close(attach, code.not_here)
  }

  #close(attach: Attach, why: number): void {
    this.over(attach)
    attach.link.closeHandle(attach.handle, why, 0)
  }
}
