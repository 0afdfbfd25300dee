package lookup

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// connectionFault describes an error of the connection to a system, or returns nil when err is not one. The words are
// ours: the text of a network error can hold a URL or a DSN. peer is a host name, a product name or "".
func connectionFault(system, peer string, err error) error {
	switch {
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case isTimeout(err):
		return &Error{System: system, Kind: Timeout, Detail: withPeer("no answer in time", "from", peer)}
	case isCertificateError(err):
		return &Error{System: system, Kind: Permanent, Detail: withPeer("certificate not trusted", "of", peer)}
	}
	if detail := transportDetail(err, peer); detail != "" {
		return &Error{System: system, Kind: Transport, Detail: detail}
	}
	return nil
}

func isTimeout(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return true
	}
	netErr, ok := errors.AsType[net.Error](err)
	return ok && netErr.Timeout()
}

func isCertificateError(err error) bool {
	_, verification := errors.AsType[*tls.CertificateVerificationError](err)
	_, authority := errors.AsType[x509.UnknownAuthorityError](err)
	_, hostname := errors.AsType[x509.HostnameError](err)
	return verification || authority || hostname
}

func transportDetail(err error, peer string) string {
	if dnsErr, ok := errors.AsType[*net.DNSError](err); ok && dnsErr.IsNotFound {
		return withPeer("no such host", "as", peer)
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return withPeer("connection refused", "by", peer)
	}
	_, isNetErr := errors.AsType[net.Error](err)
	switch {
	case isNetErr, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return withPeer("connection failed", "to", peer)
	}
	return ""
}

func withPeer(what, preposition, peer string) string {
	if peer == "" {
		return what
	}
	return what + " " + preposition + " " + peer
}
