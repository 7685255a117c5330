// A client of skewer's client protocol (docs/spec) in Go, over kcp-go without cipher and without FEC: what somebody who has
// a game on plain KCP would write. It logs in, attaches one channel and sends numbered messages; the host sends each back
// as a message of its own. Counts what comes; a line of JSON says so at the end.
//
//	client <gateway's address> <conv> <messages> <stream|message>
package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	kcp "github.com/xtaci/kcp-go"
)

const (
	kindOneway   = 0x01
	kindAck      = 0x07
	kindReject   = 0x08
	kindHello    = 0x10
	kindLogin    = 0x11
	kindWelcome  = 0x13
	kindAttach   = 0x15
	kindAttached = 0x16
	kindRoute    = 0x1f
	kindPing     = 0x20
	kindPong     = 0x21
	kindClose    = 0x25

	// Fewer than the window, so that neither end refuses.
	outstandingMax = 200
	patience       = 90 * time.Second
)

type report struct {
	Sent, Received, OutOfOrder int
	Acked                      int
	Retransmitted              uint64
	Ms                         int64
}

type writer struct{ bytes []byte }

func (w *writer) varint(v uint64) *writer {
	for v >= 0x80 {
		w.bytes = append(w.bytes, byte(v)|0x80)
		v >>= 7
	}
	w.bytes = append(w.bytes, byte(v))
	return w
}
func (w *writer) raw(b ...byte) *writer { w.bytes = append(w.bytes, b...); return w }
func (w *writer) blob(b []byte) *writer { return w.varint(uint64(len(b))).raw(b...) }
func (w *writer) text(s string) *writer { return w.blob([]byte(s)) }
func (w *writer) u16(v uint16) *writer  { return w.raw(byte(v), byte(v>>8)) }
func (w *writer) u64(v uint64) *writer  { return w.raw(binary.LittleEndian.AppendUint64(nil, v)...) }
func (w *writer) framed() []byte {
	return append(new(writer).varint(uint64(len(w.bytes))).bytes, w.bytes...)
}
func frame(kind byte) *writer            { return new(writer).raw(kind) }
func varintAt(b []byte) (uint64, []byte) { v, n := binary.Uvarint(b); return v, b[n:] }

func main() {
	address, mode := os.Args[1], os.Args[4]
	conv, _ := strconv.ParseUint(os.Args[2], 10, 32)
	count, _ := strconv.Atoi(os.Args[3])
	if err := run(address, uint32(conv), count, mode == "stream"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(address string, conv uint32, count int, isStream bool) error {
	session, err := dial(address, conv)
	if err != nil {
		return err
	}
	defer session.Close()
	session.SetStreamMode(isStream)
	session.SetNoDelay(1, 10, 2, 1)
	session.SetWindowSize(256, 256)
	session.SetMtu(1200)
	session.SetACKNoDelay(true)
	session.SetReadDeadline(time.Now().Add(patience))
	began := time.Now()

	// KCP has no handshake: whoever comes says something first (KCP-7.3).
	if err := send(session, frame(kindPing).varint(1).varint(0).framed()); err != nil {
		return err
	}
	frames := &splitter{from: session}
	result := report{}
	acked := 0
	owed := 0
	pump := func() error {
		var batch []byte
		// First: it makes room at the host for the answers to what follows.
		if owed > 0 {
			batch = append(batch, frame(kindAck).varint(0).u16(uint16(result.Received)).framed()...)
			owed = 0
		}
		for result.Sent < count && result.Sent-result.Received < outstandingMax && result.Sent-acked < outstandingMax {
			result.Sent++
			payload := []byte(fmt.Sprintf("message %d", result.Sent))
			batch = append(batch, frame(kindOneway).varint(0).u16(uint16(result.Sent)).varint(0).raw(payload...).framed()...)
		}
		return send(session, batch)
	}
	for result.Received < count || acked < count {
		f, more, err := frames.next()
		if err != nil {
			return fmt.Errorf("after %+v: %w", result, err)
		}
		kind, rest := f[0]&0x3f, f[1:]
		switch kind {
		case kindHello:
			err = send(session, frame(kindLogin).varint(1).blob([]byte("gopher")).text("kcp-go").framed())
		case kindWelcome:
			attach := frame(kindAttach).varint(0).varint(1).varint(1).text("arena").text("a1").blob(nil)
			attach.u64(77).u64(0).varint(0).varint(0).varint(0).varint(0).varint(0)
			route := frame(kindRoute).varint(0).text("arena.echo")
			err = send(session, append(attach.framed(), route.framed()...))
		case kindAttached:
			err = pump()
		case kindPing:
			clock, _ := varintAt(rest)
			err = send(session, frame(kindPong).varint(clock).varint(0).framed())
		case kindAck:
			_, rest = varintAt(rest)
			// 16 bits of a number that is at most a window behind.
			acked += int(binary.LittleEndian.Uint16(rest) - uint16(acked))
		case kindOneway:
			_, rest = varintAt(rest)
			number := binary.LittleEndian.Uint16(rest)
			_, payload := varintAt(rest[2:])
			result.Received++
			owed++
			if number != uint16(result.Received) || string(payload) != fmt.Sprintf("message %d", result.Received) {
				result.OutOfOrder++
			}
		case kindReject, kindClose:
			return fmt.Errorf("refused: % x, after %+v", f, result)
		}
		if err == nil && !more && (kind == kindOneway || kind == kindAck) {
			err = pump()
		}
		if err != nil {
			return err
		}
	}
	result.Acked = acked
	result.Retransmitted = kcp.DefaultSnmp.Copy().RetransSegs
	result.Ms = time.Since(began).Milliseconds()
	send(session, frame(kindClose).varint(0).varint(0).text("").framed())
	time.Sleep(100 * time.Millisecond)
	return json.NewEncoder(os.Stdout).Encode(result)
}

func send(session *kcp.UDPSession, bytes []byte) error {
	if len(bytes) == 0 {
		return nil
	}
	_, err := session.Write(bytes)
	return err
}

// The stream of frames (WIRE-3), whatever pieces it comes in.
type splitter struct {
	from io.Reader
	held []byte
	read [64 * 1024]byte
}

// A frame without its length, valid until the next call, and whether another whole one is there already.
func (s *splitter) next() ([]byte, bool, error) {
	for {
		if f, rest := s.cut(s.held); f != nil {
			s.held = rest
			another, _ := s.cut(rest)
			return f, another != nil, nil
		}
		n, err := s.from.Read(s.read[:])
		if err != nil {
			return nil, false, err
		}
		s.held = append(append([]byte(nil), s.held...), s.read[:n]...)
	}
}

func (s *splitter) cut(b []byte) ([]byte, []byte) {
	length, n := binary.Uvarint(b)
	if n <= 0 || len(b)-n < int(length) {
		return nil, b
	}
	return b[n : n+int(length)], b[n+int(length):]
}
