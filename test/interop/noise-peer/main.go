// The peer of noise.test.ts: one end of a handshake by flynn/noise. A line of JSON in, a line of JSON out; bytes in hex.
//
//	begin   pattern, prologue, psk, secret, public, peer, payload  -> message
//	finish  message                                               -> payload, hash
//	answer  as begin, and message                                 -> payload, message, hash
//	echo    message (a record)                                    -> plain, sealed
package main

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/flynn/noise"
)

var suite = noise.NewCipherSuite(noise.DH25519, noise.CipherChaChaPoly, noise.HashSHA256)

var patterns = map[string]noise.HandshakePattern{
	"NK":     noise.HandshakeNK,
	"NKpsk2": noise.HandshakeNK,
	"KK":     noise.HandshakeKK,
}

type end struct {
	handshake     *noise.HandshakeState
	send, receive *noise.CipherState
}

func (e *end) do(what, answer map[string]string) error {
	message, err := bytesOf(what, "message")
	if err != nil {
		return err
	}
	switch what["do"] {
	case "begin":
		if err := e.start(what, true); err != nil {
			return err
		}
		payload, err := bytesOf(what, "payload")
		if err != nil {
			return err
		}
		out, _, _, err := e.handshake.WriteMessage(nil, payload)
		answer["message"] = hex.EncodeToString(out)
		return err
	case "finish":
		payload, first, second, err := e.handshake.ReadMessage(nil, message)
		if err != nil {
			return err
		}
		e.send, e.receive = first, second
		answer["payload"] = hex.EncodeToString(payload)
		answer["hash"] = hex.EncodeToString(e.handshake.ChannelBinding())
		return nil
	case "answer":
		return e.answer(what, answer, message)
	case "echo":
		plain, err := e.receive.Decrypt(nil, nil, message)
		if err != nil {
			return err
		}
		sealed, err := e.send.Encrypt(nil, nil, plain)
		answer["plain"] = hex.EncodeToString(plain)
		answer["sealed"] = hex.EncodeToString(sealed)
		return err
	}
	return errors.New("no such thing to do: " + what["do"])
}

func (e *end) answer(what, answer map[string]string, message []byte) error {
	if err := e.start(what, false); err != nil {
		return err
	}
	payload, _, _, err := e.handshake.ReadMessage(nil, message)
	if err != nil {
		return err
	}
	told, err := bytesOf(what, "payload")
	if err != nil {
		return err
	}
	out, first, second, err := e.handshake.WriteMessage(nil, told)
	if err != nil {
		return err
	}
	// The first of the two is the initiator's.
	e.receive, e.send = first, second
	answer["payload"] = hex.EncodeToString(payload)
	answer["message"] = hex.EncodeToString(out)
	answer["hash"] = hex.EncodeToString(e.handshake.ChannelBinding())
	return nil
}

func (e *end) start(what map[string]string, isInitiator bool) error {
	var fields [5][]byte
	for i, name := range []string{"prologue", "psk", "secret", "public", "peer"} {
		value, err := bytesOf(what, name)
		if err != nil {
			return err
		}
		fields[i] = value
	}
	config := noise.Config{
		CipherSuite: suite,
		Random:      rand.Reader,
		Pattern:     patterns[what["pattern"]],
		Initiator:   isInitiator,
		Prologue:    fields[0],
	}
	if what["pattern"] == "NKpsk2" {
		config.PresharedKey = fields[1]
		config.PresharedKeyPlacement = 2
	}
	if what["pattern"] == "KK" || !isInitiator {
		config.StaticKeypair = noise.DHKey{Private: fields[2], Public: fields[3]}
	}
	if what["pattern"] == "KK" || isInitiator {
		config.PeerStatic = fields[4]
	}
	handshake, err := noise.NewHandshakeState(config)
	e.handshake = handshake
	return err
}

func bytesOf(what map[string]string, name string) ([]byte, error) {
	return hex.DecodeString(what[name])
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<20)
	var e end
	for in.Scan() {
		var what map[string]string
		answer := map[string]string{}
		err := json.Unmarshal(in.Bytes(), &what)
		if err == nil {
			err = e.do(what, answer)
		}
		if err != nil {
			answer = map[string]string{"error": err.Error()}
		}
		line, _ := json.Marshal(answer)
		fmt.Println(string(line))
	}
}
