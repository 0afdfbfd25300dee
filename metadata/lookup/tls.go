package lookup

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"
)

// TLSOptions name PEM files.
type TLSOptions struct {
	CAFile   string // trusted besides the system's authorities
	CertFile string // the client's certificate; needs KeyFile
	KeyFile  string
}

// newTransport keeps few idle connections: a Lookup asks only a handful at once.
func newTransport(o HTTPOptions) (*http.Transport, error) {
	config, err := o.TLS.config()
	if err != nil {
		return nil, err
	}
	return &http.Transport{
		Proxy:                  o.Proxy,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    10 * time.Second,
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    4,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}, nil
}

func (o TLSOptions) config() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if (o.CertFile == "") != (o.KeyFile == "") {
		return nil, errors.New("tls: a certificate and its key go together")
	}
	if o.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("tls: read certificate and key: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	if o.CAFile == "" {
		return config, nil
	}
	pool, err := readAuthorities(o.CAFile)
	if err != nil {
		return nil, err
	}
	config.RootCAs = pool
	return config, nil
}

func readAuthorities(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("tls: read authorities: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("tls: no certificate in %s", file)
	}
	return pool, nil
}
