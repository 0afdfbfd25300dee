package config

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

var update = flag.Bool("update", false, "write the schema")

const schemaFile = "../docs/seamtag.schema.json"

func TestTheSchemaIsThatOfTheCode(t *testing.T) {
	if *update {
		if err := os.WriteFile(schemaFile, Schema(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	committed, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(committed), string(Schema())); diff != "" {
		t.Errorf("%s is not what the code reads; go test ./config -update (-committed +code):\n%s", schemaFile, diff)
	}
}

const wholeFile = `
version: 1
events: [connected_account.connected]
lookups:
  user:
    sql: {driver: postgres, dsn: "${DATABASE_URL}", query: "select id from users where id = $1", args: [origin.custom_metadata.user_id, 12, true]}
    cache: 5m
    cache_misses: 0s
    missing: retry
    timeout: 2s
    retries: 0
    concurrency: 8
    max_entries: 100
    breaker: {failures: 3, cooldown: 1m}
  customer:
    http:
      url: "https://crm.internal/customers/{user.id}"
      method: POST
      headers: {X-Key: "Key ${TOKEN}"}
      body: '{{"id": {user.id}}}'
      at: data.0
      basic: {user: u, password: "${TOKEN}"}
      tls: {ca: ca.pem, cert: c.pem, key: k.pem}
      max_body: 1000
  site:
    redis: {url: "${REDIS}", hash: "site:{account.customer_key}"}
  region:
    table: {file: regions.csv, key: code, value: customer.region_code, format: csv}
copy: [origin.custom_metadata, user]
tags:
  a: user.id
  b: |
    customer.plan ??
      "free"
  c: true
policy: {conflict: keep, budget: drop, prune: false, restore: false, drop: [a], allow: [a, b, c]}
`

var wholeEnvironment = []string{"DATABASE_URL=postgres://u:hunter2@h/d?a={b}", "TOKEN=t{0}ken", "REDIS=redis://h"}

func TestAWholeFileIsRead(t *testing.T) {
	rules, err := ParseRules("seamtag.yaml", []byte(wholeFile), wholeEnvironment)
	if err != nil {
		t.Fatal(err)
	}
	user, customer := rules.Lookups[0].Value, rules.Lookups[1].Value
	got := []any{
		rules.Version, rules.Events[0].Reveal(), rules.Lookups[0].Name.Reveal(), user.SQL.DSN.Reveal(), user.SQL.Args[1].Reveal(), user.SQL.Args[2].Reveal(),
		user.Cache, user.CacheMisses, user.Retries, user.Breaker.Failures, customer.HTTP.Headers[0].Value.Reveal(), customer.HTTP.Basic.Password.Reveal(),
		customer.Missing, customer.Retries, rules.Tags[1].Value.Reveal(), rules.Policy.Prune, rules.Policy.Allow[2].Reveal(),
	}
	want := []any{
		1, "connected_account.connected", "user", "postgres://u:hunter2@h/d?a={b}", "12", "true",
		Duration0(5 * 60e9), Duration0(0), 0, 3, "Key t{{0}}ken", "t{0}ken",
		"retry", 2, "customer.plan ??\n  \"free\"", false, "c",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
	for _, form := range []string{"%v", "%+v", "%#v", "%s"} {
		if shown := fmt.Sprintf(form, user.SQL.DSN) + fmt.Sprintf(form, customer.HTTP.Basic.Password); strings.Contains(shown, "hunter2") || strings.Contains(shown, "ken") {
			t.Errorf("%s shows %s", form, shown)
		}
	}
}

// What the reader takes, the schema takes, and the other way round where a schema can say it.
func TestSchemaAndReaderAgree(t *testing.T) {
	compiler := jsonschema.NewCompiler()
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(string(Schema())))
	if err != nil {
		t.Fatal(err)
	}
	if err := compiler.AddResource("rules.json", document); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("rules.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{
		wholeFile, "version: 1", "version: 1\ntags:\nlookups:\n", "{}", "version: 2", "version: 1\ntag: {}", "version: 1\npolicy: {prune: 1}",
		"version: 1\nlookups: {a: {cache: 5m}}", "version: 1\nlookups: {a: {redis: {url: x, hash: y, json: z}}}", "version: 1\npolicy: {conflict: no}",
		"version: 1\nlookups: {a: {sql: {driver: oracle, dsn: x, query: y}}}", "version: 1\nlookups: {a: {sql: {driver: mysql, dsn: x}}}",
		"version: 1\nlookups: {a: {redis: {url: x, hash: y}, retries: 11}}", "version: 1\ncopy: webview.custom_metadata", "version: 1\ntags: {a: [1]}",
	} {
		_, readErr := ParseRules("seamtag.yaml", []byte(file), wholeEnvironment)
		data, err := yaml.YAMLToJSON([]byte(file))
		if err != nil {
			t.Fatal(err)
		}
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(string(data)))
		if err != nil {
			t.Fatal(err)
		}
		if schemaErr := compiled.Validate(value); (schemaErr == nil) != (readErr == nil) {
			t.Errorf("%s\nreader: %v\nschema: %v", file, readErr, schemaErr)
		}
	}
}

// FuzzReadRules: whatever a file holds, reading it ends with rules or with errors that have a place, and shows no secret.
func FuzzReadRules(f *testing.F) {
	f.Add([]byte(wholeFile))
	f.Add([]byte("version: 1\ntags: {a: *x, b: [1, {c: ~}]}\n? k\n: v"))
	f.Add([]byte("version: 1\nlookups: {a: {sql: {dsn: '${DATABASE_URL}', query: |\n  x\n  y\n}}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := ParseRules("seamtag.yaml", data, wholeEnvironment)
		if err == nil {
			return
		}
		wrong := RulesErrors(err)
		if len(wrong) == 0 {
			t.Fatalf("an error without a place: %v", err)
		}
		for _, e := range wrong {
			if e.Line < 1 || e.Column < 1 {
				t.Errorf("%d:%d: %s", e.Line, e.Column, e.Problem)
			}
		}
		if strings.Contains(err.Error(), "hunter2") && !strings.Contains(string(data), "hunter2") {
			t.Errorf("the error shows what the environment holds: %v", err)
		}
	})
}

func TestSecretsOfABrokenFileAreMasked(t *testing.T) {
	for _, file := range []string{
		"lookups: {a: {sql: {dsn: 'postgres://u:hunter2@h', query: [}}}",
		"lookups: {a: {http: {url: 'https://u:hunter2@h/x?key=hunter2', bearer: hunter2, query: [}}}",
		"version: 1\nlookups:\n  a:\n    sql:\n      driver: mysql\n      query: x\n      dsn: |\n        hunter2\n        $" + "{NOT_SET}\n",
		"version: 1\nlookups: {a: {http: {url: 'https://h/x?api_key=hunter2', hedaers: {X: y}}}}",
		"version: 1\nlookups: {a: {http: {hedaers: {X: y}, headers: {Authorization: 'Basic hunter2'}, url: x}}}",
	} {
		_, err := ParseRules("seamtag.yaml", []byte(file), nil)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s\n%v", file, err)
		}
	}
}
