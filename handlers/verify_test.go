package handlers

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"

	"seamtag/internal/parts"
)

// request is a line for sign.mjs.
type request struct {
	Lib       string `json:"lib"`
	Secret    string `json:"secret"`
	ID        string `json:"id"`
	Timestamp int64  `json:"timestamp"`
	Body      string `json:"body"`
}

// foreign signs with the npm packages, one signature a request.
func foreign(t *testing.T, requests ...request) []string {
	t.Helper()
	var in, errs bytes.Buffer
	for _, r := range requests {
		if err := json.NewEncoder(&in).Encode(r); err != nil {
			t.Fatal(err)
		}
	}
	cmd := parts.Node(t, "sign.mjs")
	cmd.Stdin, cmd.Stderr = &in, &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("sign.mjs: %v\n%s", err, errs.String())
	}
	got := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(got) != len(requests) {
		t.Fatalf("sign.mjs answered %d lines for %d requests", len(got), len(requests))
	}
	return got
}

func TestSvixsPublishedVector(t *testing.T) {
	s := setup(t)
	expect(t, s.post(t, vectorBody, set("svix", vectorID, strconv.Itoa(vectorTime), vectorSig)...), 202, `{"status":"queued","id":"17-0"}`)
	if got := s.publisher.calls(); len(got) != 1 || got[0].ID != vectorID {
		t.Errorf("published %v", got)
	}
}

func TestForeignSignatures(t *testing.T) {
	body := `{"event_type":"é 漢 \u0000","n":"` + strings.Repeat("a", 5000) + `"}`
	var requests []request
	for _, lib := range []string{"svix", "standardwebhooks"} {
		for _, key := range []string{secret, otherKey} {
			requests = append(requests, request{lib, key, "msg_" + lib, vectorTime, body})
		}
	}
	rotation := func(o *Options) { o.Webhook.Secrets = []string{otherKey, strings.TrimPrefix(secret, "whsec_")} }
	for i, sig := range foreign(t, requests...) {
		for _, prefix := range []string{"svix", "webhook"} {
			t.Run(requests[i].Lib+" "+prefix, func(t *testing.T) {
				s := setup(t, rotation)
				expect(t, s.post(t, body, set(prefix, requests[i].ID, strconv.Itoa(vectorTime), sig)...), 202, `{"status":"queued","id":"17-0"}`)
			})
		}
	}
}

func TestARotationSignsTwice(t *testing.T) {
	sigs := foreign(t, request{"svix", otherKey, "m", vectorTime, event}, request{"svix", secret, "m", vectorTime, event})
	s := setup(t) // knows the second only
	expect(t, s.post(t, event, set("svix", "m", strconv.Itoa(vectorTime), strings.Join(sigs, " "))...), 202, `{"status":"queued","id":"17-0"}`)
}

func TestSignaturesThatDoNotCount(t *testing.T) {
	const (
		headers   = `{"error":"headers: svix-id, svix-timestamp and svix-signature are needed (or webhook-id, …), each once"}`
		badID     = `{"error":"headers: the message id is not 1 to 256 printable ASCII characters"}`
		notATime  = `{"error":"headers: the timestamp is not a number of seconds"}`
		off       = `{"error":"time: the timestamp is more than 5 minutes off"}`
		signature = `{"error":"signature: none matches"}`
	)
	at := strconv.Itoa(vectorTime)
	good := sign(t, event)
	sig := good[5]
	for name, tc := range map[string]struct {
		headers []string
		status  int
		answer  string
	}{
		"none":                     {nil, 400, headers},
		"no signature":             {good[:4], 400, headers},
		"empty signature":          {set("svix", "msg_1", at, ""), 400, headers},
		"empty id":                 {set("svix", "", at, sig), 400, headers},
		"halves of two sets":       {append(set("svix", "msg_1", at, sig)[:4], "webhook-signature", sig), 400, headers},
		"id given twice":           {append([]string{"svix-id", "other"}, good...), 400, headers},
		"signature given twice":    {append([]string{"svix-signature", sig}, good...), 400, headers},
		"id too long":              {set("svix", strings.Repeat("x", 257), at, sig), 400, badID},
		"id not ASCII":             {set("svix", "msg_é", at, sig), 400, badID},
		"id with a control":        {set("svix", "msg\t1", at, sig), 400, badID},
		"bad id and half a set":    {append(set("svix", "msg_é", at, sig), "webhook-id", "m"), 400, badID},
		"time not a number":        {set("svix", "msg_1", "2024-11-15T21:12:01Z", sig), 400, notATime},
		"time too large":           {set("svix", "msg_1", "99999999999999999999", sig), 400, notATime},
		"time at the end":          {set("svix", "msg_1", "9223372036854775807", sig), 401, off},
		"time at the beginning":    {set("svix", "msg_1", "-9223372036854775808", sig), 401, off},
		"6 minutes old":            {signed(t, "svix", secret, "msg_1", vectorTime-360, event), 401, off},
		"6 minutes ahead":          {signed(t, "svix", secret, "msg_1", vectorTime+360, event), 401, off},
		"wrong secret":             {signed(t, "svix", otherKey, "msg_1", vectorTime, event), 401, signature},
		"tampered body":            {signed(t, "svix", secret, "msg_1", vectorTime, event+" "), 401, signature},
		"other id":                 {set("svix", "msg_2", at, sig), 401, signature},
		"other time":               {set("svix", "msg_1", strconv.Itoa(vectorTime+1), sig), 401, signature},
		"v2":                       {set("svix", "msg_1", at, "v2"+sig[2:]), 401, signature},
		"v1a":                      {set("svix", "msg_1", at, "v1a"+sig[2:]), 401, signature},
		"v1 with nothing":          {set("svix", "msg_1", at, "v1,"), 401, signature},
		"no version":               {set("svix", "msg_1", at, sig[3:]), 401, signature},
		"both sets wrong":          {append(set("svix", "a", at, "v1,x"), set("webhook", "b", at, "v1,y")...), 401, signature},
		"one set late, one forged": {append(set("svix", "a", "1", "v1,x"), set("webhook", "b", at, "v1,y")...), 401, signature},
	} {
		t.Run(name, func(t *testing.T) {
			s := setup(t)
			expect(t, s.post(t, event, tc.headers...), tc.status, tc.answer)
			if n := len(s.publisher.calls()); n != 0 {
				t.Errorf("published %d times", n)
			}
		})
	}
}

func TestTheIDIsThatOfTheSetThatVerified(t *testing.T) {
	at := strconv.Itoa(vectorTime)
	svixSet := signed(t, "svix", secret, "from_svix", vectorTime, event)
	standardSet := signed(t, "webhook", secret, "from_standard", vectorTime, event)
	for name, tc := range map[string]struct {
		headers []string
		want    string
	}{
		"svix alone":                      {svixSet, "from_svix"},
		"standard alone":                  {standardSet, "from_standard"},
		"both good":                       {slices.Concat(standardSet, svixSet), "from_svix"},
		"forged svix-id alone":            {slices.Concat([]string{"svix-id", "forged"}, standardSet), "from_standard"},
		"forged svix set":                 {slices.Concat(set("svix", "forged", at, "v1,x"), standardSet), "from_standard"},
		"svix set with the other's proof": {slices.Concat(set("svix", "forged", at, standardSet[5]), standardSet), "from_standard"},
		"late svix set":                   {slices.Concat(set("svix", "forged", "1", "v1,x"), standardSet), "from_standard"},
		"broken svix set":                 {slices.Concat(set("svix", "forged", "x", "v1,x"), standardSet), "from_standard"},
		"two svix-ids":                    {slices.Concat([]string{"svix-id", "forged", "svix-id", "forged"}, standardSet), "from_standard"},
		"forged standard set":             {slices.Concat(set("webhook", "forged", at, "v1,x"), svixSet), "from_svix"},
		"half a standard set":             {slices.Concat([]string{"webhook-id", "forged", "webhook-signature", "v1,x"}, svixSet), "from_svix"},
	} {
		t.Run(name, func(t *testing.T) {
			s := setup(t)
			expect(t, s.post(t, event, tc.headers...), 202, `{"status":"queued","id":"17-0"}`)
			if got := s.publisher.calls(); len(got) != 1 || got[0].ID != tc.want {
				t.Errorf("published %v, want id %s", got, tc.want)
			}
		})
	}
}

func TestFiveMinutesEitherWay(t *testing.T) {
	for _, d := range []int64{-300, 300} {
		s := setup(t)
		expect(t, s.post(t, event, signed(t, "svix", secret, "m", vectorTime+d, event)...), 202, `{"status":"queued","id":"17-0"}`)
	}
	for _, d := range []int64{-301, 301} {
		s := setup(t)
		expect(t, s.post(t, event, signed(t, "svix", secret, "m", vectorTime+d, event)...), 401, `{"error":"`+errTime.Error()+`"}`)
	}
}

func TestSecretsThatAreRefused(t *testing.T) {
	for name, tc := range map[string]struct{ secrets []string }{
		"none":       {nil},
		"empty":      {[]string{secret, ""}},
		"short":      {[]string{secret, "whsec_c2hvcnRzZWNyZXQ="}},
		"not base64": {[]string{secret, "whsec_plaintext-secret!"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewVerifier(tc.secrets)
			if err == nil {
				t.Fatal("accepted")
			}
			if len(tc.secrets) > 0 && !strings.Contains(err.Error(), "2 of 2") {
				t.Errorf("the error does not say which: %v", err)
			}
			for _, leak := range []string{"c2hvcnR", "shortsecret", "plaintext", secret} {
				if strings.Contains(err.Error(), leak) {
					t.Errorf("the error shows a secret: %v", err)
				}
			}
		})
	}
}
