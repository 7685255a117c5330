// kcp-go as a rival of our KCP engine on a bad network: a server that echoes, or only takes, and a client that sends small
// messages at a rate or as much as it can. Without cipher and FEC, with the settings of the preset `fast`. What is said on
// stdin and stdout is that of bench/processes/kcp-peer.ts.
//
//	peer server <echo|sink>
//	peer pace <port> <conversations> <messages a second of each> <seconds> <bytes>
//	peer bulk <port> <seconds>
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	kcp "github.com/xtaci/kcp-go"
)

const (
	window      = 256
	mtu         = 1200
	bufferBytes = 4 * 1024 * 1024
	bulkBytes   = 8 * 1024
	// What is under way when the sending ends is waited for.
	patience = 20 * time.Second
)

func main() {
	number := func(i int) int { n, _ := strconv.Atoi(os.Args[i]); return n }
	var err error
	switch os.Args[1] {
	case "server":
		err = serve(os.Args[2] == "echo")
	case "pace":
		err = pace(number(2), number(3), number(4), number(5), number(6))
	case "bulk":
		err = bulk(number(2), number(3))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func configure(session *kcp.UDPSession) {
	session.SetStreamMode(true)
	session.SetNoDelay(1, 10, 2, 1)
	session.SetWindowSize(window, window)
	session.SetMtu(mtu)
	session.SetACKNoDelay(true)
	session.SetWriteDelay(false)
}

func dial(port int) (*kcp.UDPSession, error) {
	session, err := kcp.DialWithOptions(fmt.Sprintf("127.0.0.1:%d", port), nil, 0, 0)
	if err == nil {
		configure(session)
	}
	return session, err
}

func serve(isEcho bool) error {
	listener, err := kcp.ListenWithOptions("127.0.0.1:0", nil, 0, 0)
	if err != nil {
		return err
	}
	listener.SetReadBuffer(bufferBytes)
	listener.SetWriteBuffer(bufferBytes)
	var taken int64
	go func() {
		for {
			session, err := listener.AcceptKCP()
			if err != nil {
				return
			}
			configure(session)
			go func() {
				bytes := make([]byte, 64*1024)
				for {
					n, err := session.Read(bytes)
					if err != nil {
						return
					}
					atomic.AddInt64(&taken, int64(n))
					if isEcho {
						session.Write(bytes[:n])
					}
				}
			}()
		}
	}()
	_, port, _ := splitPort(listener.Addr().String())
	fmt.Println(port)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		fmt.Println(atomic.LoadInt64(&taken))
	}
	return nil
}

func splitPort(address string) (string, int, error) {
	for i := len(address) - 1; i >= 0; i-- {
		if address[i] == ':' {
			port, err := strconv.Atoi(address[i+1:])
			return address[:i], port, err
		}
	}
	return address, 0, io.ErrUnexpectedEOF
}

// Each message carries the time at which it is due; a latency counts from then, also where the window was full.
func pace(port, conversations, rate, seconds, length int) error {
	began := time.Now()
	micros := func() float64 { return float64(time.Since(began).Nanoseconds()) / 1000 }
	count := rate * seconds
	every := 1e6 / float64(rate)
	all := make([][]int, conversations)
	var failed atomic.Value
	var ends sync.WaitGroup
	for i := 0; i < conversations; i++ {
		session, err := dial(port)
		if err != nil {
			return err
		}
		session.SetReadDeadline(began.Add(time.Duration(seconds)*time.Second + patience))
		first := every * float64(i) / float64(conversations)
		ends.Add(1)
		go func(i int) {
			defer ends.Done()
			latencies := make([]int, 0, count)
			message := make([]byte, length)
			for len(latencies) < count {
				if _, err := io.ReadFull(session, message); err != nil {
					failed.Store(fmt.Errorf("after %d of %d messages: %w", len(latencies), count, err))
					return
				}
				latencies = append(latencies, int(micros()-math.Float64frombits(binary.LittleEndian.Uint64(message))))
			}
			all[i] = latencies
		}(i)
		go func() {
			message := make([]byte, length)
			for n := 0; n < count; n++ {
				due := first + every*float64(n)
				time.Sleep(time.Duration(due-micros()) * time.Microsecond)
				binary.LittleEndian.PutUint64(message, math.Float64bits(due))
				if _, err := session.Write(message); err != nil {
					return
				}
			}
		}()
	}
	ends.Wait()
	if err, ok := failed.Load().(error); ok {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(all)
}

func bulk(port, seconds int) error {
	session, err := dial(port)
	if err != nil {
		return err
	}
	bytes := make([]byte, bulkBytes)
	for end := time.Now().Add(time.Duration(seconds) * time.Second); time.Now().Before(end); {
		session.SetWriteDeadline(end.Add(time.Second))
		if _, err := session.Write(bytes); err != nil {
			return err
		}
	}
	return nil
}
