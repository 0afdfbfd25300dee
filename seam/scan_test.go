package seam

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"
)

// FuzzScanObject compares with encoding/json: the same bodies are objects, with the same values by the same names.
func FuzzScanObject(f *testing.F) {
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"a":1,"b":[{"c":"}\\\"]"}, null ],"a" : "last" ,"d\u0041\n":{"x":{}} , "e":true,"e":null}`))
	f.Add([]byte(" { \"a\"\t:\r\n-1.5e3 } "))
	f.Add([]byte(`[{"a":1}]`))
	f.Add([]byte(`null`))
	f.Add([]byte(`{"a":"\ud800"`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if !utf8.Valid(data) {
			return // refused before it comes here; encoding/json would mend it
		}
		var want map[string]json.RawMessage
		wantOK := json.Unmarshal(data, &want) == nil && want != nil
		got, ok := scanObject(data, nil)
		if ok != wantOK {
			t.Fatalf("an object: %v, want %v", ok, wantOK)
		}
		for _, m := range got {
			if _, there := want[string(m.name)]; !there {
				t.Fatalf("found a member %q that is not there", m.name)
			}
		}
		for name, value := range want {
			if string(value) == "null" {
				value = nil
			}
			if v := got.get(name); !bytes.Equal(v, value) {
				t.Fatalf("%q is %q, want %q", name, v, value)
			}
		}
	})
}
