package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"syscall"
	"time"
)

type loadResult struct {
	perSecond float64
	p50, p99  float64 // µs
}

// load sends the requests over so many connections, each waiting for its answer before the next. It is one loop over epoll:
// what a goroutine a connection costs would be taken from the Redis on the same core, and so from what is measured.
func load(address string, connections int, requests [][]byte) (loadResult, error) {
	l := loader{requests: requests, took: make([]time.Duration, 0, len(requests))}
	var err error
	if l.epoll, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC); err != nil {
		return loadResult{}, fmt.Errorf("load: %w", err)
	}
	defer syscall.Close(l.epoll)
	defer l.close()
	began := time.Now()
	if err := l.connect(address, min(connections, len(requests))); err != nil {
		return loadResult{}, fmt.Errorf("load: %w", err)
	}
	for len(l.took) < len(requests) {
		if err := l.turn(); err != nil {
			return loadResult{}, fmt.Errorf("load: %w", err)
		}
	}
	elapsed := time.Since(began)
	return loadResult{
		perSecond: float64(len(l.took)) / elapsed.Seconds(), p50: percentile(l.took, .5), p99: percentile(l.took, .99),
	}, nil
}

type loader struct {
	requests    [][]byte // those not sent yet
	took        []time.Duration
	epoll       int
	connections []*connection
}

type connection struct {
	fd     int
	sent   time.Time
	answer []byte // as much as came of it
	buffer [4096]byte
}

func (l *loader) connect(address string, n int) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	for i := range n {
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		c := &connection{fd: fd}
		l.connections = append(l.connections, c)
		if err := syscall.Connect(fd, &syscall.SockaddrInet4{Addr: at.Addr().As4(), Port: int(at.Port())}); err != nil {
			return err
		}
		if err := syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1); err != nil {
			return err
		}
		event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(i)}
		if err := syscall.EpollCtl(l.epoll, syscall.EPOLL_CTL_ADD, fd, &event); err != nil {
			return err
		}
		if err := l.send(c); err != nil {
			return err
		}
	}
	return nil
}

func (l *loader) close() {
	for _, c := range l.connections {
		_ = syscall.Close(c.fd)
	}
}

// send sends the next request, where there is one.
func (l *loader) send(c *connection) error {
	if len(l.requests) == 0 {
		return nil
	}
	c.answer, c.sent = c.buffer[:0], time.Now()
	n, err := syscall.Write(c.fd, l.requests[0])
	if err == nil && n < len(l.requests[0]) {
		return errors.New("a request was sent in part")
	}
	l.requests = l.requests[1:]
	return err
}

// turn takes what came and sends what follows.
func (l *loader) turn() error {
	var events [64]syscall.EpollEvent
	n, err := syscall.EpollWait(l.epoll, events[:], 10_000)
	switch {
	case errors.Is(err, syscall.EINTR):
		return nil
	case err != nil:
		return err
	case n == 0:
		return errors.New("no answer within 10 s")
	}
	for _, event := range events[:n] {
		if err := l.receive(l.connections[event.Fd]); err != nil {
			return err
		}
	}
	return nil
}

func (l *loader) receive(c *connection) error {
	n, err := syscall.Read(c.fd, c.buffer[len(c.answer):])
	if err != nil || n == 0 {
		return fmt.Errorf("the connection ended: %w", err)
	}
	c.answer = c.buffer[:len(c.answer)+n]
	whole, err := isWhole(c.answer)
	if !whole || err != nil {
		return err
	}
	l.took = append(l.took, time.Since(c.sent))
	return l.send(c)
}

var (
	endOfHeaders  = []byte("\r\n\r\n")
	contentLength = []byte("\r\nContent-Length: ")
)

// isWhole says whether an answer is complete; it must be a 2xx.
func isWhole(answer []byte) (bool, error) {
	header, body, ok := bytes.Cut(answer, endOfHeaders)
	if !ok {
		return false, nil
	}
	if !bytes.HasPrefix(header, []byte("HTTP/1.1 2")) {
		return false, fmt.Errorf("answered %q", header)
	}
	_, rest, _ := bytes.Cut(header, contentLength)
	digits, _, _ := bytes.Cut(rest, []byte("\r"))
	length, err := strconv.Atoi(string(digits))
	if err != nil {
		return false, fmt.Errorf("answered without a length: %q", header)
	}
	return len(body) >= length, nil
}
