package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
)

const (
	// wireBuffer holds some frames about single containers.
	wireBuffer = 8 << 10
	// muteBuffer is small: what the kernel takes in looks to the server as if it
	// had been read.
	muteBuffer = 4 << 10
	// wirePayload is the longest frame that is looked at; only the first is longer.
	wirePayload = wireBuffer
)

// The opcodes of RFC 6455, 5.2.
const (
	opClose = 8
	opPing  = 9
	opPong  = 10
)

// wire is a WebSocket client that does as little as possible: thousands of them
// share the machine with the server that they measure.
type wire struct {
	conn net.Conn
	in   *bufio.Reader
}

// dialWire connects and asks for the stream.
func dialWire(ctx context.Context, address string) (*wire, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	w := &wire{conn: conn, in: bufio.NewReaderSize(conn, wireBuffer)}
	if err := w.upgrade(address); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *wire) upgrade(address string) error {
	_, err := fmt.Fprintf(w.conn, "GET /compute/ws HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", address)
	if err != nil {
		return err
	}
	response, err := http.ReadResponse(w.in, nil)
	if err != nil {
		return err
	}
	defer response.Body.Close() //nolint:errcheck // there is none where it upgrades
	if response.StatusCode != http.StatusSwitchingProtocols {
		text, _ := io.ReadAll(io.LimitReader(response.Body, wireBuffer)) // only to say why
		return fmt.Errorf("%s: %s", response.Status, text)
	}
	return nil
}

// deafen has the kernel take in little for somebody who never reads.
func (w *wire) deafen() error {
	if conn, ok := w.conn.(*net.TCPConn); ok {
		return conn.SetReadBuffer(muteBuffer)
	}
	return nil
}

func (w *wire) close() { _ = w.conn.Close() }

// read returns the next text, good until the next read, and nothing of one that
// is too long. It answers pings.
func (w *wire) read() ([]byte, error) {
	for {
		op, payload, err := w.frame()
		switch {
		case err != nil:
			return nil, err
		case op == opPing:
			err = w.pong(payload)
		case op == opClose && len(payload) >= 2:
			err = hungUp(binary.BigEndian.Uint16(payload), payload[2:])
		case op == opClose:
			err = errHungUp
		default:
			return payload, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// frame reads one frame; a server doesn't mask.
func (w *wire) frame() (op byte, payload []byte, err error) {
	var head [8]byte
	if _, err := io.ReadFull(w.in, head[:2]); err != nil {
		return 0, nil, err
	}
	op, size := head[0]&0x0f, uint64(head[1]&0x7f)
	switch size {
	case 126:
		_, err = io.ReadFull(w.in, head[:2])
		size = uint64(binary.BigEndian.Uint16(head[:2]))
	case 127:
		_, err = io.ReadFull(w.in, head[:])
		size = binary.BigEndian.Uint64(head[:])
	}
	if err != nil {
		return 0, nil, err
	}
	if size > wirePayload {
		_, err = io.CopyN(io.Discard, w.in, int64(size))
		return op, nil, err
	}
	if payload, err = w.in.Peek(int(size)); err != nil {
		return 0, nil, err
	}
	_, err = w.in.Discard(int(size)) // Peek's bytes stay until the next read
	return op, payload, err
}

// pong answers a ping. A client has to mask what it says, be it with zeros.
func (w *wire) pong(payload []byte) error {
	frame := append([]byte{0x80 | opPong, 0x80 | byte(len(payload)), 0, 0, 0, 0}, payload...)
	_, err := w.conn.Write(frame)
	return err
}
