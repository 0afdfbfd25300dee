package queue_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"seamtag/internal/parts"
	"seamtag/queue"
)

// everything uses each part of a queue once, and fails the test where Redis refuses any of it.
func everything(t *testing.T, q *queue.Queue) {
	t.Helper()
	p := publisher(t, q)
	var calls atomic.Int32
	pace := queue.NewPace(q, 1000)
	o := quick(nil)
	o.Handler = failsFirst(&calls, pace)
	o.Pace, o.Lease, o.Sweep, o.Trim = pace, 300*time.Millisecond, 20*time.Millisecond, 20*time.Millisecond
	o.Observer.Trouble = func(doing string, err error) { t.Errorf("%s: %v", doing, err) }
	stop := consume(t, q, o)
	var ids []string
	for n := range 6 {
		m := message(n)
		m.Key = "same"
		ids = append(ids, publish(t, p, m))
	}
	for _, id := range ids {
		awaitStatus(t, q, id, queue.Tagged)
	}
	if n, err := q.Replay(t.Context(), ids...); n != len(ids) || err != nil {
		t.Errorf("replayed %d, %v", n, err)
	}
	await(t, "all ended again", func() bool {
		s, err := q.Stats(t.Context())
		return err == nil && s.Waiting == 0
	})
	pace.Slow(time.Millisecond)
	stop()
	if page, err := q.List(t.Context(), queue.Filter{Status: queue.Tagged}, "", 10); err != nil || len(page.Entries) != len(ids) {
		t.Errorf("listed %d, %v", len(page.Entries), err)
	}
	if state, err := q.State(t.Context(), "same"); err != nil || state == nil {
		t.Errorf("state %q, %v", state, err)
	}
	if h := queue.NewHealthCheck(q).Health(t.Context()); h.Err != nil || len(h.Problems) > 0 {
		t.Errorf("health %+v", h)
	}
}

// failsFirst fails once, then calls Seam, as far as the rate is concerned, and tags.
func failsFirst(calls *atomic.Int32, pace *queue.Pace) queue.Handler {
	return func(ctx context.Context, d *queue.Delivery) (queue.Outcome, error) {
		if calls.Add(1) == 1 {
			return queue.Outcome{}, errors.New("not now")
		}
		return queue.Outcome{Status: queue.Tagged, State: []byte(d.ID)}, pace.Wait(ctx)
	}
}

func TestAUserMayDoNoMoreThanTheDocumentationSays(t *testing.T) {
	text, err := os.ReadFile("../docs/redis.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "ACL SETUSER ")
	line, _, _ := strings.Cut(rest, "\n```")
	if !ok {
		t.Fatal("docs/redis.md names no ACL user")
	}
	rule := strings.Fields(strings.ReplaceAll(strings.ReplaceAll(line, "\\\n", " "), "'", ""))
	args := []any{"ACL", "SETUSER"}
	for _, word := range rule {
		args = append(args, word)
	}
	r := parts.Redis(t)
	if err := r.Client().Do(t.Context(), args...).Err(); err != nil {
		t.Fatalf("%v: %v", rule, err)
	}
	everything(t, open(t, r, func(o *queue.Options) { o.URL = "redis://seamtag:a-long-password@" + r.Addr() + "/0" }))
}

func TestAPasswordThatIsWrongIsSaidWithoutIt(t *testing.T) {
	r := parts.Redis(t)
	if err := r.Client().ConfigSet(t.Context(), "requirepass", "s3cr3tpw").Err(); err != nil {
		t.Fatal(err)
	}
	q := open(t, r, func(o *queue.Options) { o.URL = "redis://:wr0ngpw@" + r.Addr() + "/0" })
	_, err := publisher(t, q).Publish(t.Context(), message(1))
	if !errors.Is(err, queue.ErrUnavailable) || strings.Contains(err.Error(), "wr0ngpw") {
		t.Errorf("error %v", err)
	}
	everything(t, open(t, r, func(o *queue.Options) { o.URL = "redis://:s3cr3tpw@" + r.Addr() + "/0" }))
}

func TestConnectionsThatTheServerCutsAreMadeAgain(t *testing.T) {
	r := parts.Redis(t)
	q := open(t, r)
	p := publisher(t, q)
	o := quick(tag)
	o.Block = 10 * time.Second // the read is blocked whenever it is cut
	o.Observer.Trouble = func(doing string, err error) { t.Errorf("%s: %v", doing, err) }
	consume(t, q, o)
	rdb := r.Client()
	for n := range 10 {
		awaitStatus(t, q, publish(t, p, message(n)), queue.Tagged)
		if err := rdb.Do(t.Context(), "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").Err(); err != nil {
			t.Fatal(err)
		}
	}
}

const tlsURL = "SEAMTAG_TEST_REDISS_URL"

// TestRediss runs itself again as a process whose SSL_CERT_FILE names the server's authority: Go reads that once.
func TestRediss(t *testing.T) {
	if url := os.Getenv(tlsURL); url != "" {
		q, err := queue.Open(queue.Options{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		everything(t, q)
		return
	}
	dir := t.TempDir()
	selfSigned(t, dir)
	port := strconv.Itoa(parts.FreePort(t))
	r := parts.Redis(t, "--tls-port", port, "--tls-cert-file", filepath.Join(dir, "cert.pem"), "--tls-key-file", filepath.Join(dir, "key.pem"),
		"--tls-ca-cert-file", filepath.Join(dir, "cert.pem"), "--tls-auth-clients", "no")
	url := "rediss://127.0.0.1:" + port + "/0"
	stranger := open(t, r, func(o *queue.Options) { o.URL = url })
	if _, err := publisher(t, stranger).Publish(t.Context(), message(1)); !errors.Is(err, queue.ErrUnavailable) {
		t.Errorf("a server that nobody vouches for: %v", err)
	}
	again := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestRediss$", "-test.count", "1")
	again.Env = append(os.Environ(), tlsURL+"="+url, "SSL_CERT_FILE="+filepath.Join(dir, "cert.pem"))
	if out, err := again.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// selfSigned writes cert.pem and key.pem for 127.0.0.1.
func selfSigned(t *testing.T, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "redis"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: cert}, "key.pem": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
