package sandbox_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	svix "github.com/svix/svix-webhooks/go"

	"seamtag/seam/sandbox"
)

const (
	firstSecret  = "whsec_plJ3nmyCDGBKInavdOK15jsl"
	secondSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
)

// Svix's published vector.
func TestSignedHeadersMatchSvix(t *testing.T) {
	body := []byte(`{"event_type":"ping","data":{"success":true}}`)
	for name, secrets := range map[string][]string{
		"with prefix":    {firstSecret},
		"without prefix": {strings.TrimPrefix(firstSecret, "whsec_")},
	} {
		t.Run(name, func(t *testing.T) {
			h, err := sandbox.SignedHeaders(secrets, "msg_loFOjxBNrRLzqYUf", time.Unix(1731705121, 0), body)
			want := http.Header{
				"Svix-Id": {"msg_loFOjxBNrRLzqYUf"}, "Svix-Timestamp": {"1731705121"},
				"Svix-Signature": {"v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="},
			}
			if diff := cmp.Diff(want, h); diff != "" || err != nil {
				t.Error(err, diff)
			}
		})
	}
}

func TestSignedHeadersRefuseWhatIsNoSecret(t *testing.T) {
	for name, secrets := range map[string][]string{
		"none": nil, "empty": {""}, "prefix alone": {"whsec_"}, "not base64": {"planted secret!"},
	} {
		if h, err := sandbox.SignedHeaders(secrets, "msg_1", now, nil); err == nil || strings.Contains(err.Error(), "planted") {
			t.Errorf("%s: got %v, %v", name, h, err)
		}
	}
}

func TestSenderDeliversWhatVerifies(t *testing.T) {
	for name, standard := range map[string]bool{"svix names": false, "standard names": true} {
		t.Run(name, func(t *testing.T) {
			body := []byte(`{"event_id":"e1"}`)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got, err := io.ReadAll(r.Body)
				if err != nil || string(got) != string(body) {
					t.Errorf("received %q, %v", got, err)
				}
				if (r.Header.Get("Webhook-Id") == "msg_1") != standard || (r.Header.Get("Svix-Id") == "msg_1") == standard {
					t.Errorf("the headers are %v", r.Header)
				}
				for _, secret := range []string{firstSecret, secondSecret} {
					wh, err := svix.NewWebhook(secret)
					if err != nil {
						t.Error(err)
						continue
					}
					if err := wh.Verify(got, r.Header); err != nil {
						t.Errorf("%v", err)
					}
				}
				w.WriteHeader(http.StatusAccepted)
				_, _ = io.WriteString(w, `{"status":"queued"}`)
			}))
			t.Cleanup(server.Close)
			client := server.Client()
			s := &sandbox.Sender{URL: server.URL, Secrets: []string{firstSecret, secondSecret}, Client: client, StandardNames: standard}
			status, answer, err := s.Send(t.Context(), "msg_1", body)
			if status != http.StatusAccepted || string(answer) != `{"status":"queued"}` || err != nil {
				t.Errorf("got %d %q %v", status, answer, err)
			}
		})
	}
}

func TestSenderErrorsHoldNoURL(t *testing.T) {
	s := &sandbox.Sender{URL: "http://127.0.0.1:1/?token=planted", Secrets: []string{firstSecret}, Now: func() time.Time { return now }}
	if _, _, err := s.Send(t.Context(), "msg_1", nil); err == nil || strings.Contains(err.Error(), "planted") {
		t.Errorf("got %v, want an error without the URL", err)
	}
	s.URL = "http://%planted"
	if _, _, err := s.Send(t.Context(), "msg_1", nil); err == nil || strings.Contains(err.Error(), "planted") {
		t.Errorf("got %v, want an error without the URL", err)
	}
}

func TestMessageIDsAreFresh(t *testing.T) {
	a, b := sandbox.NewMessageID(), sandbox.NewMessageID()
	if a == b || !strings.HasPrefix(a, "msg_") || len(a) < 20 {
		t.Errorf("got %q and %q", a, b)
	}
}
