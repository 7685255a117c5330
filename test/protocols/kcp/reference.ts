// KCP as plainly as it can be said, after the behaviour of ikcp.c (skywind3000/kcp, MIT), function by function and in its
// order: lists instead of rings, an object for every segment, nothing checked. It is what the engine is compared with,
// byte for byte, so it is not to be made faster. What the engine does otherwise on purpose is behind fields
// (docs/spec/kcp.md, section 5); their values here are ikcp's.

export const CMD_PUSH = 81
export const CMD_ACK = 82
export const CMD_WASK = 83
export const CMD_WINS = 84
const OVERHEAD = 24
const ASK_SEND = 1
const ASK_TELL = 2
const THRESH_MIN = 2
const FASTACK_LIMIT = 5
const RTO_MAX = 60_000
const WND_RCV = 128

export type ReferenceSegment = {
  conv: number
  cmd: number
  frg: number
  wnd: number
  ts: number
  sn: number
  una: number
  resendts: number
  rto: number
  fastack: number
  /** It travelled again and is to be written once more. */
  again?: boolean
  xmit: number
  data: Uint8Array
}

const u32 = (value: number): number => value >>> 0
const timediff = (later: number, earlier: number): number => (later - earlier) | 0

export function encodeSegment(
  segment: Omit<ReferenceSegment, 'resendts' | 'rto' | 'fastack' | 'xmit'>,
  length?: number,
): Uint8Array {
  const bytes = new Uint8Array(OVERHEAD + segment.data.length)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, segment.conv, true)
  view.setUint8(4, segment.cmd)
  view.setUint8(5, segment.frg)
  view.setUint16(6, segment.wnd, true)
  view.setUint32(8, segment.ts, true)
  view.setUint32(12, segment.sn, true)
  view.setUint32(16, segment.una, true)
  view.setUint32(20, length ?? segment.data.length, true)
  bytes.set(segment.data, OVERHEAD)
  return bytes
}

export class ReferenceKcp {
  conv: number
  mtu = 1400
  mss = 1400 - OVERHEAD
  state = 0
  snd_una = 0
  snd_nxt = 0
  rcv_nxt = 0
  ssthresh = 2
  rx_rttval = 0
  rx_srtt = 0
  rx_rto = 200
  rx_minrto = 100
  snd_wnd = 32
  rcv_wnd = WND_RCV
  rmt_wnd = WND_RCV
  cwnd = 0
  incr = 0
  probe = 0
  current = 0
  interval = 100
  ts_flush = 100
  nodelay = 0
  updated = false
  ts_probe = 0
  probe_wait = 0
  dead_link = 20
  fastresend = 0
  nocwnd = false
  stream = false
  /** Where the engine differs on purpose. */
  probeInit = 7000
  probeLimit = 120_000
  rtoGrowthMax = Infinity
  timeoutForgetsFastack = false
  overtakenIsDueEarly = false
  /** Segments in flight up to which what travels again is written once more by the next flush. */
  repeatMax = -1
  snd_queue: ReferenceSegment[] = []
  rcv_queue: ReferenceSegment[] = []
  snd_buf: ReferenceSegment[] = []
  rcv_buf: ReferenceSegment[] = []
  acklist: { sn: number; ts: number }[] = []
  output: (datagram: Uint8Array) => void
  #buffer: Uint8Array[] = []
  #size = 0

  constructor(conv: number, output: (datagram: Uint8Array) => void) {
    this.conv = conv
    this.output = output
  }

  setMtu(mtu: number): void {
    this.mtu = mtu
    this.mss = mtu - OVERHEAD
  }

  // ikcp_recv
  recv(): Uint8Array | undefined {
    const size = this.peekSize()
    if (size < 0) return undefined
    const recover = this.rcv_queue.length >= this.rcv_wnd
    const message = new Uint8Array(size)
    let at = 0
    for (;;) {
      const segment = this.rcv_queue.shift()!
      message.set(segment.data, at)
      at += segment.data.length
      if (segment.frg === 0) break
    }
    this.#moveReceived()
    if (this.rcv_queue.length < this.rcv_wnd && recover) this.probe |= ASK_TELL
    return message
  }

  peekSize(): number {
    const first = this.rcv_queue[0]
    if (first === undefined) return -1
    if (first.frg === 0) return first.data.length
    if (this.rcv_queue.length < first.frg + 1) return -1
    let length = 0
    for (const segment of this.rcv_queue) {
      length += segment.data.length
      if (segment.frg === 0) break
    }
    return length
  }

  // ikcp_send
  send(bytes: Uint8Array): number {
    let rest = bytes
    if (this.stream) {
      const old = this.snd_queue.at(-1)
      if (old !== undefined && old.data.length < this.mss) {
        const extend = Math.min(rest.length, this.mss - old.data.length)
        old.data = Uint8Array.from([...old.data, ...rest.subarray(0, extend)])
        rest = rest.subarray(extend)
      }
      if (rest.length === 0) return bytes.length
    }
    const count = rest.length <= this.mss ? 1 : Math.ceil(rest.length / this.mss)
    if (count >= WND_RCV) return -2
    for (let i = 0; i < count; i++) {
      this.snd_queue.push({
        conv: this.conv,
        cmd: CMD_PUSH,
        frg: this.stream ? 0 : count - i - 1,
        wnd: 0,
        ts: 0,
        sn: 0,
        una: 0,
        resendts: 0,
        rto: 0,
        fastack: 0,
        xmit: 0,
        data: rest.slice(i * this.mss, (i + 1) * this.mss),
      })
    }
    return bytes.length
  }

  #updateAck(rtt: number): void {
    if (this.rx_srtt === 0) {
      this.rx_srtt = rtt
      this.rx_rttval = Math.trunc(rtt / 2)
    } else {
      const delta = Math.abs(rtt - this.rx_srtt)
      this.rx_rttval = Math.trunc((3 * this.rx_rttval + delta) / 4)
      this.rx_srtt = Math.trunc((7 * this.rx_srtt + rtt) / 8)
      if (this.rx_srtt < 1) this.rx_srtt = 1
    }
    const rto = this.rx_srtt + Math.max(this.interval, 4 * this.rx_rttval)
    this.rx_rto = Math.min(Math.max(this.rx_minrto, rto), RTO_MAX)
  }

  #shrinkBuf(): void {
    this.snd_una = this.snd_buf.length > 0 ? this.snd_buf[0].sn : this.snd_nxt
  }

  #parseAck(sn: number): void {
    if (timediff(sn, this.snd_una) < 0 || timediff(sn, this.snd_nxt) >= 0) return
    for (let i = 0; i < this.snd_buf.length; i++) {
      if (sn === this.snd_buf[i].sn) {
        this.snd_buf.splice(i, 1)
        break
      }
      if (timediff(sn, this.snd_buf[i].sn) < 0) break
    }
  }

  #parseUna(una: number): void {
    while (this.snd_buf.length > 0 && timediff(una, this.snd_buf[0].sn) > 0) this.snd_buf.shift()
  }

  #parseFastack(sn: number, ts: number): void {
    if (timediff(sn, this.snd_una) < 0 || timediff(sn, this.snd_nxt) >= 0) return
    for (const segment of this.snd_buf) {
      if (timediff(sn, segment.sn) < 0) break
      if (sn === segment.sn || timediff(ts, segment.ts) < 0) continue
      if (this.overtakenIsDueEarly && (this.fastresend === 0 || segment.xmit > FASTACK_LIMIT)) continue
      segment.fastack++
      const due = u32(segment.ts + this.rx_srtt + Math.max(this.interval, this.rx_rttval))
      if (!this.overtakenIsDueEarly || segment.fastack > 1 || timediff(due, segment.resendts) >= 0) continue
      segment.resendts = due
    }
  }

  #parseData(segment: ReferenceSegment): void {
    const { sn } = segment
    if (timediff(sn, u32(this.rcv_nxt + this.rcv_wnd)) >= 0 || timediff(sn, this.rcv_nxt) < 0) return
    let at = this.rcv_buf.length
    let repeat = false
    for (; at > 0; at--) {
      const before = this.rcv_buf[at - 1]
      if (before.sn === sn) {
        repeat = true
        break
      }
      if (timediff(sn, before.sn) > 0) break
    }
    if (!repeat) this.rcv_buf.splice(at, 0, segment)
    this.#moveReceived()
  }

  #moveReceived(): void {
    while (this.rcv_buf.length > 0) {
      if (this.rcv_buf[0].sn !== this.rcv_nxt || this.rcv_queue.length >= this.rcv_wnd) break
      this.rcv_queue.push(this.rcv_buf.shift()!)
      this.rcv_nxt = u32(this.rcv_nxt + 1)
    }
  }

  // ikcp_input
  input(datagram: Uint8Array): number {
    const prevUna = this.snd_una
    let maxack = 0
    let latestTs = 0
    let flag = false
    if (datagram.length < OVERHEAD) return -1
    const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.length)
    let at = 0
    while (datagram.length - at >= OVERHEAD) {
      const conv = view.getUint32(at, true)
      if (conv !== this.conv) return -1
      const cmd = view.getUint8(at + 4)
      const frg = view.getUint8(at + 5)
      const wnd = view.getUint16(at + 6, true)
      const ts = view.getUint32(at + 8, true)
      const sn = view.getUint32(at + 12, true)
      const una = view.getUint32(at + 16, true)
      const length = view.getInt32(at + 20, true)
      at += OVERHEAD
      if (datagram.length - at < length || length < 0) return -2
      if (cmd !== CMD_PUSH && cmd !== CMD_ACK && cmd !== CMD_WASK && cmd !== CMD_WINS) return -3
      this.rmt_wnd = wnd
      this.#parseUna(una)
      this.#shrinkBuf()
      if (cmd === CMD_ACK) {
        if (timediff(this.current, ts) >= 0) this.#updateAck(timediff(this.current, ts))
        this.#parseAck(sn)
        this.#shrinkBuf()
        if (!flag) {
          flag = true
          maxack = sn
          latestTs = ts
        } else if (timediff(sn, maxack) > 0 && timediff(ts, latestTs) > 0) {
          maxack = sn
          latestTs = ts
        }
      } else if (cmd === CMD_PUSH) {
        if (timediff(sn, u32(this.rcv_nxt + this.rcv_wnd)) < 0) {
          this.acklist.push({ sn, ts })
          if (timediff(sn, this.rcv_nxt) >= 0) {
            const data = datagram.slice(at, at + length)
            this.#parseData({ conv, cmd, frg, wnd, ts, sn, una, resendts: 0, rto: 0, fastack: 0, xmit: 0, data })
          }
        }
      } else if (cmd === CMD_WASK) {
        this.probe |= ASK_TELL
      }
      at += length
    }
    if (flag) this.#parseFastack(maxack, latestTs)
    if (timediff(this.snd_una, prevUna) > 0) this.#growWindow()
    return 0
  }

  #growWindow(): void {
    if (this.cwnd >= this.rmt_wnd) return
    const { mss } = this
    if (this.cwnd < this.ssthresh) {
      this.cwnd++
      this.incr += mss
    } else {
      if (this.incr < mss) this.incr = mss
      this.incr += Math.trunc((mss * mss) / this.incr) + Math.trunc(mss / 16)
      if ((this.cwnd + 1) * mss <= this.incr) this.cwnd = Math.trunc((this.incr + mss - 1) / mss)
    }
    if (this.cwnd > this.rmt_wnd) {
      this.cwnd = this.rmt_wnd
      this.incr = this.rmt_wnd * mss
    }
  }

  #emit(segment: ReferenceSegment): void {
    const bytes = encodeSegment(segment)
    if (this.#size + bytes.length > this.mtu) this.#output()
    this.#buffer.push(bytes)
    this.#size += bytes.length
  }

  #output(): void {
    if (this.#size > 0) this.output(Uint8Array.from(this.#buffer.flatMap((bytes) => [...bytes])))
    this.#buffer = []
    this.#size = 0
  }

  // ikcp_flush
  flush(): void {
    if (!this.updated) return
    const { current } = this
    const wnd = Math.max(0, this.rcv_wnd - this.rcv_queue.length)
    const none = { resendts: 0, rto: 0, fastack: 0, xmit: 0, data: new Uint8Array(0) }
    const control = { conv: this.conv, cmd: CMD_ACK, frg: 0, wnd, ts: 0, sn: 0, una: this.rcv_nxt, ...none }
    for (const { sn, ts } of this.acklist) {
      control.sn = sn
      control.ts = ts
      this.#emit(control)
    }
    this.acklist = []

    if (this.rmt_wnd === 0) {
      if (this.probe_wait === 0) {
        this.probe_wait = this.probeInit
        this.ts_probe = u32(current + this.probe_wait)
      } else if (timediff(current, this.ts_probe) >= 0) {
        if (this.probe_wait < this.probeInit) this.probe_wait = this.probeInit
        this.probe_wait = Math.min(this.probe_wait + Math.trunc(this.probe_wait / 2), this.probeLimit)
        this.ts_probe = u32(current + this.probe_wait)
        this.probe |= ASK_SEND
      }
    } else {
      this.ts_probe = 0
      this.probe_wait = 0
    }
    if (this.probe & ASK_SEND) this.#emit({ ...control, cmd: CMD_WASK })
    if (this.probe & ASK_TELL) this.#emit({ ...control, cmd: CMD_WINS })
    this.probe = 0

    let cwnd = Math.min(this.snd_wnd, this.rmt_wnd)
    if (!this.nocwnd) cwnd = Math.min(this.cwnd, cwnd)
    while (timediff(this.snd_nxt, u32(this.snd_una + cwnd)) < 0 && this.snd_queue.length > 0) {
      const segment = this.snd_queue.shift()!
      Object.assign(segment, { wnd, ts: current, sn: this.snd_nxt, una: this.rcv_nxt, resendts: current })
      Object.assign(segment, { rto: this.rx_rto, fastack: 0, xmit: 0 })
      this.snd_nxt = u32(this.snd_nxt + 1)
      this.snd_buf.push(segment)
    }

    const resent = this.fastresend > 0 ? this.fastresend : 0xffffffff
    const rtomin = this.nodelay === 0 ? this.rx_rto >> 3 : 0
    let change = false
    let lost = false
    const isThin = u32(this.snd_nxt - this.snd_una) <= this.repeatMax
    for (const segment of this.snd_buf) {
      let needsend = false
      if (segment.xmit === 0) {
        needsend = true
        segment.xmit++
        segment.rto = this.rx_rto
        segment.resendts = u32(current + segment.rto + rtomin)
      } else if (timediff(current, segment.resendts) >= 0 && !(this.overtakenIsDueEarly && segment.fastack > 0)) {
        needsend = true
        segment.xmit++
        if (this.nodelay === 0) segment.rto += Math.max(segment.rto, this.rx_rto)
        else segment.rto += Math.trunc((this.nodelay < 2 ? segment.rto : this.rx_rto) / 2)
        segment.rto = Math.min(segment.rto, this.rtoGrowthMax)
        segment.resendts = u32(current + segment.rto)
        if (this.timeoutForgetsFastack) segment.fastack = 0
        lost = true
      } else if (
        (segment.fastack >= resent && segment.xmit <= FASTACK_LIMIT) ||
        timediff(current, segment.resendts) >= 0
      ) {
        needsend = true
        segment.xmit++
        segment.fastack = 0
        if (this.overtakenIsDueEarly) segment.rto = this.rx_rto
        segment.resendts = u32(current + segment.rto)
        change = true
      } else if (segment.again) {
        segment.again = false
        segment.ts = current
        segment.wnd = wnd
        segment.una = this.rcv_nxt
        this.#emit(segment)
      }
      if (needsend) {
        segment.again = isThin && segment.xmit > 1
        segment.ts = current
        segment.wnd = wnd
        segment.una = this.rcv_nxt
        this.#emit(segment)
        if (segment.xmit >= this.dead_link) this.state = -1
      }
    }
    this.#output()

    if (change) {
      this.ssthresh = Math.max(THRESH_MIN, Math.trunc(u32(this.snd_nxt - this.snd_una) / 2))
      this.cwnd = this.ssthresh + resent
      this.incr = this.cwnd * this.mss
    }
    if (lost) {
      this.ssthresh = Math.max(THRESH_MIN, Math.trunc(cwnd / 2))
      this.cwnd = 1
      this.incr = this.mss
    }
    if (this.cwnd < 1) {
      this.cwnd = 1
      this.incr = this.mss
    }
  }

  // ikcp_update
  update(current: number): void {
    this.current = u32(current)
    if (!this.updated) {
      this.updated = true
      this.ts_flush = this.current
    }
    let slap = timediff(this.current, this.ts_flush)
    if (slap >= 10_000 || slap < -10_000) {
      this.ts_flush = this.current
      slap = 0
    }
    if (slap >= 0) {
      this.ts_flush = u32(this.ts_flush + this.interval)
      if (timediff(this.current, this.ts_flush) >= 0) this.ts_flush = u32(this.current + this.interval)
      this.flush()
    }
  }
}
