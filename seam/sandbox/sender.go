package sandbox

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	svix "github.com/svix/svix-webhooks/go"
)

const (
	sendTimeout = 15 * time.Second // what Svix grants a receiver
	maxReply    = 1 << 20          // bytes kept of what a receiver says
)

// Sender delivers events as Svix does. It does not retry: the caller decides by the status.
type Sender struct {
	URL           string
	Secrets       []string         // each signs, as during a rotation; with or without whsec_
	Client        *http.Client     // one with Svix's 15 s that follows no redirect
	Now           func() time.Time // time.Now
	StandardNames bool             // webhook-* headers instead of svix-*
}

// Send signs and posts one body. An error means that there was no answer; its text does not hold the URL.
func (s *Sender) Send(ctx context.Context, messageID string, body []byte) (status int, answer []byte, err error) {
	header, err := SignedHeaders(s.Secrets, messageID, s.time(), body)
	if err != nil {
		return 0, nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, bytes.NewReader(body))
	if err != nil {
		return 0, nil, fmt.Errorf("send %s: %w", messageID, withoutURL(err))
	}
	req.Header = header
	if s.StandardNames {
		req.Header = standardNames(header)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Svix-Webhooks/sandbox")
	resp, err := s.client().Do(req)
	if err != nil {
		return 0, nil, fmt.Errorf("send %s: %w", messageID, withoutURL(err))
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err = io.ReadAll(io.LimitReader(resp.Body, maxReply))
	if err != nil {
		return resp.StatusCode, nil, fmt.Errorf("send %s: read the answer: %w", messageID, err)
	}
	return resp.StatusCode, answer, nil
}

func (s *Sender) time() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}

func (s *Sender) client() *http.Client {
	if s.Client != nil {
		return s.Client
	}
	return &http.Client{
		Timeout:       sendTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// SignedHeaders are the svix-* headers of a body, with one signature a secret.
func SignedHeaders(secrets []string, id string, at time.Time, body []byte) (http.Header, error) {
	if len(secrets) == 0 {
		return nil, errors.New("sign: there is no secret")
	}
	signatures := make([]string, 0, len(secrets))
	for i, secret := range secrets {
		wh, err := svix.NewWebhook(secret)
		if err != nil {
			return nil, fmt.Errorf("sign: secret %d is not one of Svix's: %w", i+1, err)
		}
		signature, err := wh.Sign(id, at, body)
		if err != nil {
			return nil, fmt.Errorf("sign with secret %d: %w", i+1, err)
		}
		signatures = append(signatures, signature)
	}
	h := http.Header{}
	h.Set("Svix-Id", id)
	h.Set("Svix-Timestamp", strconv.FormatInt(at.Unix(), 10))
	h.Set("Svix-Signature", strings.Join(signatures, " "))
	return h, nil
}

// standardNames are the names of the Standard Webhooks specification.
func standardNames(h http.Header) http.Header {
	out := http.Header{}
	for name := range h {
		out.Set(strings.Replace(name, "Svix-", "Webhook-", 1), h.Get(name))
	}
	return out
}

// NewMessageID is a fresh message id; a delivery that is repeated keeps its own.
func NewMessageID() string { return "msg_" + rand.Text() }

// withoutURL takes the URL out of what net/http says: somebody's webhook URL may hold a token.
func withoutURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}
