package main

import (
	"net"

	kcp "github.com/xtaci/kcp-go"
)

// A conversation with a number of our own; no cipher, no FEC.
func dial(address string, conv uint32) (*kcp.UDPSession, error) {
	to, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return nil, err
	}
	from, err := net.ListenUDP("udp", nil)
	if err != nil {
		return nil, err
	}
	return kcp.NewConn3(conv, to, nil, 0, 0, from)
}
