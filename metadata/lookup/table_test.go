package lookup_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"seamtag/metadata/lookup"
)

func table(t *testing.T, name, content, key string) (*lookup.Table, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return lookup.NewTable(lookup.TableOptions{File: file, Key: key})
}

func TestTable(t *testing.T) {
	for name, tc := range map[string]struct {
		file, content, key string
		ask                any
		want               map[string]any
	}{
		"csv":         {"t.csv", "\xef\xbb\xbfcode,name\r\n007,\"a\nb\"\r\n", "code", "007", map[string]any{"code": "007", "name": "a\nb"}},
		"json list":   {"t.json", `[{"code":7,"vip":true},{"code":"8"}]`, "code", "7", map[string]any{"code": json.Number("7"), "vip": true}},
		"json object": {"t.json", `{"eu":{"name":"x"}}`, "", "eu", map[string]any{"name": "x"}},
		"yaml list":   {"t.yaml", "- code: 007\n  n: 1.5\n- code: x\n", "code", "007", map[string]any{"code": int64(7), "n": 1.5}},
		"yaml object": {"t.yml", "base: &b {name: y}\n010: *b\n", "", "010", map[string]any{"name": "y"}},
		"number":      {"t.csv", "code\n7\n", "code", int64(7), map[string]any{"code": "7"}},
		"truth":       {"t.yaml", "- code: true\n", "code", "true", map[string]any{"code": true}},
	} {
		t.Run(name, func(t *testing.T) {
			source, err := table(t, tc.file, tc.content, tc.key)
			if err != nil {
				t.Fatal(err)
			}
			got, err := source.Ask(t.Context(), []any{tc.ask})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(any(tc.want), got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if _, err := source.Ask(t.Context(), []any{"secret"}); !errors.Is(err, lookup.ErrMissing) {
				t.Errorf("an absent key: %v", err)
			}
		})
	}
}

func TestTableRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ file, content, key, want string }{
		"csv twice":           {"t.csv", "code,n\na,1\nb,2\na,3\n", "code", "t.csv:4: the key is already on line 2"},
		"csv header twice":    {"t.csv", "code,code\n", "code", `t.csv:1: two columns are named "code"`},
		"csv no key":          {"t.csv", "kode\n", "code", `t.csv:1: no column "code" for the key`},
		"csv short row":       {"t.csv", "code,n\na,1\nsecret\n", "code", "t.csv:3: wrong number of fields"},
		"csv quotes":          {"t.csv", "code,n\na,\"secret\n", "code", `t.csv:2: extraneous or missing " in quoted-field`},
		"csv empty":           {"t.csv", "", "code", "t.csv: the table is empty, want a row with the names of the columns"},
		"json twice":          {"t.json", "[\n{\"code\":1},\n\n{\"code\":\"1\"}]", "code", "t.json:4: the key is already on line 2"},
		"json object twice":   {"t.json", "{\n\"a\":{},\n\"a\":{}}", "", "t.json:3: the key is already on line 2"},
		"json no column":      {"t.json", "[\n{\"kode\":1}]", "code", `t.json:2: no column "code"`},
		"json not a row":      {"t.json", "[{\"code\":1},\n\"secret\"]", "code", "t.json:2: the row is not an object"},
		"json null row":       {"t.json", "[null]", "code", "t.json:1: the row is not an object"},
		"json broken":         {"t.json", "[{\"code\":1},\n{secret}]", "code", "t.json:2: not JSON"},
		"json cut":            {"t.json", "[{\"code\":1}", "code", "t.json:1: not JSON"},
		"json more":           {"t.json", "[]\n[]", "code", "t.json:2: more after the end of the table"},
		"json scalar":         {"t.json", "7", "code", "t.json: want a list of objects, or an object of objects"},
		"json key is a list":  {"t.json", `[{"code":[]}]`, "code", `t.json:1: column "code" is not a text, a number, true or false`},
		"json key not named":  {"t.json", `[{"code":1}]`, "", "t.json: the table needs key: the name of the column to look in"},
		"yaml twice":          {"t.yaml", "- code: a\n- code: b\n- code: a\n", "code", "t.yaml:3: the key is already on line 1"},
		"yaml object twice":   {"t.yaml", "a: {n: 1}\nb: {n: 2}\na: {n: 3}\n", "", "t.yaml:3: the key is already on line 1"},
		"yaml not a row":      {"t.yaml", "- code: a\n- secret\n", "code", "t.yaml:2: the row is not an object"},
		"yaml object no rows": {"t.yaml", "a: secret\n", "", "t.yaml:1: the row is not an object"},
		"yaml broken":         {"t.yaml", "a: [secret\n", "", "t.yaml:1: not valid YAML, or a name given twice"},
		"yaml scalar":         {"t.yaml", "secret\n", "", "t.yaml: want a list of objects, or an object of objects"},
		"yaml empty":          {"t.yaml", "", "", "t.yaml: want a list of objects, or an object of objects"},
		"format":              {"t.txt", "a", "a", `t.txt: format "txt": want csv, json or yaml`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := table(t, tc.file, tc.content, tc.key)
			if err == nil {
				t.Fatal("was taken")
			}
			if got := err.Error(); !strings.HasSuffix(got, "/"+tc.want) || strings.Contains(got, "secret") {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func FuzzTable(f *testing.F) {
	f.Add("a,b\n1,2\n", uint8(0))
	f.Add(`[{"a":1}]`, uint8(1))
	f.Add("x: &y {a: 1}\nz: *y\n", uint8(2))
	f.Fuzz(func(t *testing.T, content string, format uint8) {
		file := "t." + []string{"csv", "json", "yaml"}[format%3]
		source, err := table(t, file, content, "a")
		if err == nil {
			_, _ = source.Ask(t.Context(), []any{"1"})
		}
	})
}
