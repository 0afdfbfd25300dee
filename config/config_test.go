package config_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"seamtag/config"
)

const goodSecret = "whsec_plJ3nmyCDGBKInavdOK15jsl" // Svix's published example

func TestDefaults(t *testing.T) {
	c, err := config.Load(nil)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]any{
		"endpoint": c.SeamEndpoint, "mode": c.RedisMode, "ack": c.RedisAck, "port": c.Port, "metrics": c.MetricsPort, "rules": c.RulesFile,
		"data": c.DataDir, "retention": c.Retention, "concurrency": c.Concurrency, "rate": c.SeamRate, "give up": c.GiveUpAfter,
		"level": c.LogLevel, "format": c.LogFormat,
	}
	want := map[string]any{
		"endpoint": "https://connect.getseam.com", "mode": config.RedisMode("standalone"), "ack": config.RedisAck("memory"),
		"port": config.Port(8080), "metrics": config.Port(9091), "rules": "seamtag.yaml", "data": "seamtag-data",
		"retention": config.Duration(720 * time.Hour), "concurrency": config.Count(16), "rate": config.Rate{Calls: 10, Per: time.Second},
		"give up": config.Duration(24 * time.Hour), "level": config.LogLevel("info"), "format": config.LogFormat(""),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
}

func TestValues(t *testing.T) {
	c, err := config.Load([]string{
		"SEAM_WEBHOOK_SECRET=" + goodSecret + ", cGxKM25teUNER0JLSW5hdmRPSzE1anNs\n" + goodSecret, "SEAMTAG_SEAM_RATE=300/m",
		"SEAMTAG_RETENTION=1h30m", "PORT=0", "SEAM_ENDPOINT=http://localhost:1/seam", "LOG_FORMAT=console", "REDIS_MODE=cluster",
		"METRICS_PORT=", "REDIS_URL=",
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.WebhookSecrets) != 3 || c.WebhookSecrets.Reveal()[0] != goodSecret {
		t.Errorf("%d secrets", len(c.WebhookSecrets))
	}
	if c.SeamRate.PerSecond() != 5 || time.Duration(c.Retention) != 90*time.Minute || c.Port != 0 || c.MetricsPort != 9091 || c.RedisMode != "cluster" {
		t.Errorf("values %+v", c)
	}
}

func TestWrongValuesNameTheVariableAndTheMend(t *testing.T) {
	for value, want := range map[string]string{
		"SEAMTAG_RETENTION=30d":              `SEAMTAG_RETENTION: "30d" is not a positive duration: write it as 90s, 15m or 720h (there is no unit for days)`,
		"SEAMTAG_GIVE_UP_AFTER=-1h":          `SEAMTAG_GIVE_UP_AFTER: "-1h" is not a positive duration: write it as 90s, 15m or 720h (there is no unit for days)`,
		"SEAMTAG_GAP_CHECK=hourly":           `SEAMTAG_GAP_CHECK: "hourly" is neither a duration, such as 15m or 1h, nor 0`,
		"SEAMTAG_CONCURRENCY=0":              `SEAMTAG_CONCURRENCY: "0" is not a number from 1 to 10000`,
		"SEAMTAG_SEAM_RATE=10":               `SEAMTAG_SEAM_RATE: "10" is not a rate: write it as 10/s or 300/m`,
		"SEAMTAG_SEAM_RATE=10/h":             `SEAMTAG_SEAM_RATE: "10/h" is not a rate: write it as 10/s or 300/m`,
		"PORT=http":                          `PORT: "http" is not a port: give a number from 0 to 65535`,
		"METRICS_PORT=70000":                 `METRICS_PORT: "70000" is not a port: give a number from 0 to 65535`,
		"REDIS_MODE=single":                  `REDIS_MODE: "single" is none of standalone, cluster, sentinel`,
		"REDIS_ACK=disk":                     `REDIS_ACK: "disk" is none of memory, replica`,
		"LOG_LEVEL=verbose":                  `LOG_LEVEL: "verbose" is none of debug, info, warn, error`,
		"LOG_FORMAT=xml":                     `LOG_FORMAT: "xml" is none of json, console`,
		"SEAM_ENDPOINT=getseam.com":          `SEAM_ENDPOINT: is not an http or https URL, such as https://connect.getseam.com`,
		"SEAM_ENDPOINT=https://u:p@h/":       `SEAM_ENDPOINT: is not an http or https URL, such as https://connect.getseam.com`,
		"SEAM_WEBHOOK_SECRET=whsec_c2hvcnQ=": `SEAM_WEBHOOK_SECRET: secret 1 of 1 has 5 bytes, at least 16 are needed: was it cut short?`,
		"SEAM_WEBHOOK_SECRET=" + goodSecret + ",hello!": `SEAM_WEBHOOK_SECRET: secret 2 of 2 is not base64 after whsec_: ` +
			`copy it whole, as the Seam Console shows it`,
	} {
		_, err := config.Load([]string{value})
		if err == nil || err.Error() != want {
			t.Errorf("%s:\n got %v\nwant %s", value, err, want)
		}
	}
}

func TestAllThatIsWrongIsSaidAtOnce(t *testing.T) {
	_, err := config.Load([]string{"PORT=x", "LOG_LEVEL=y", "SEAM_ENDPOINT=z"})
	for _, name := range []string{"PORT", "LOG_LEVEL", "SEAM_ENDPOINT"} {
		if err == nil || !strings.Contains(err.Error(), name+": ") {
			t.Errorf("error does not name %s: %v", name, err)
		}
	}
	if _, ok := errors.AsType[*config.Error](err); !ok {
		t.Errorf("error is %T", err)
	}
}

func TestNoFormattingShowsASecret(t *testing.T) {
	c, err := config.Load([]string{
		"SEAM_API_KEY=seam_s3cr3t", "SEAM_WEBHOOK_SECRET=" + goodSecret, "REDIS_URL=redis://:s3cr3t@h:1/0", "ADMIN_TOKEN=s3cr3t",
	})
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		fmt.Sprint(c), fmt.Sprintf("%v", c), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c), string(asJSON),
	} {
		if strings.Contains(text, "s3cr3t") || strings.Contains(text, "plJ3nmy") {
			t.Errorf("shows a secret: %s", text)
		}
	}
}

func TestRequirementsNameTheVariable(t *testing.T) {
	var c config.Config
	for want, err := range map[string]error{
		"SEAM_API_KEY": c.RequireSeam(), "SEAM_WEBHOOK_SECRET": c.RequireWebhook(), "REDIS_URL": c.RequireShared("several processes share it"),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), want+": is not set: ") {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestTheRulesFileMayBeMissingUnlessNamed(t *testing.T) {
	t.Chdir(t.TempDir())
	c, _ := config.Load(nil)
	if path, err := c.CheckRulesFile(); path != "" || err != nil {
		t.Errorf("without a file: %q, %v", path, err)
	}
	c, _ = config.Load([]string{"SEAMTAG_CONFIG=other.yaml"})
	if _, err := c.CheckRulesFile(); err == nil || !strings.HasPrefix(err.Error(), "SEAMTAG_CONFIG: ") {
		t.Errorf("a named file that is missing: %v", err)
	}
	if err := os.WriteFile(filepath.Join(".", "seamtag.yaml"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c, _ = config.Load(nil)
	if path, err := c.CheckRulesFile(); path != "seamtag.yaml" || err != nil {
		t.Errorf("with a file: %q, %v", path, err)
	}
}

func TestTheTableNamesEveryVariable(t *testing.T) {
	table := config.Table()
	for _, name := range config.Names() {
		if !strings.Contains(table, "| `"+name+"` |") {
			t.Errorf("the table lacks %s", name)
		}
	}
	if !slices.Contains(config.Names(), "SEAM_API_KEY") || slices.Contains(config.Names(), "FLY_APP_NAME") {
		t.Errorf("names %v", config.Names())
	}
}

func FuzzLoad(f *testing.F) {
	for i, name := range config.Names() {
		f.Add(i, name)
	}
	f.Fuzz(func(t *testing.T, i int, value string) {
		names := config.Names()
		name := names[uint(i)%uint(len(names))]
		_, err := config.Load([]string{name + "=" + value})
		if err != nil && !strings.HasPrefix(err.Error(), name+": ") {
			t.Errorf("%s=%q: %v", name, value, err)
		}
	})
}
