package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"seamtag/config"
	"seamtag/seam"
)

const webhookHelp = `Register the webhook at Seam, and see which are registered.`

const webhookCreateHelp = `Register a webhook for exactly the event types that the rules ask for.

Seam answers its signing secret this once: store it as SEAM_WEBHOOK_SECRET of the processes of role web.
A second webhook to the same URL is how a secret is changed: set both, by space, then delete the first webhook.`

// webhookPath is where every web process takes webhooks.
const webhookPath = "/webhooks/seam"

func newWebhook(p Process) *cobra.Command {
	cmd := &cobra.Command{
		Use: "webhook", Short: "Register the webhook at Seam", Long: webhookHelp, Args: noArgs,
		Example: "  seamtag webhook create --url https://seamtag.example" + webhookPath + "\n  seamtag webhook list",
	}
	var link string
	var createJSON, listJSON bool
	create := &cobra.Command{
		Use: "create", Short: "Register a webhook, and print its secret this once", Long: webhookCreateHelp, Args: noArgs,
		Example: "  seamtag webhook create --url https://seamtag.example" + webhookPath,
		RunE:    func(cmd *cobra.Command, _ []string) error { return webhookCreate(cmd.Context(), p, link, createJSON) },
	}
	create.Flags().StringVar(&link, "url", "", "where seamtag takes webhooks: https://<your host>"+webhookPath)
	jsonFlag(create, &createJSON)
	list := &cobra.Command{
		Use: "list", Short: "List the webhooks of the workspace, and what ours lacks", Args: noArgs,
		Example: "  seamtag webhook list\n  seamtag webhook list --json",
		RunE:    func(cmd *cobra.Command, _ []string) error { return webhookList(cmd.Context(), p, listJSON) },
	}
	jsonFlag(list, &listJSON)
	cmd.AddCommand(create, list)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	return cmd
}

// openSeam makes a client for a command that needs no queue.
func openSeam(p Process) (*seam.Client, error) {
	c, err := load(p, (*config.Config).RequireSeam)
	if err != nil {
		return nil, err
	}
	return newSeamClient(&c, nil, prometheus.NewRegistry())
}

// createdWebhook is what webhook create prints.
type createdWebhook struct {
	ID         string   `json:"webhook_id"`
	URL        string   `json:"url"`
	EventTypes []string `json:"event_types"`
	Secret     string   `json:"secret"`
	SameURL    []string `json:"same_url"` // webhooks that were there before, for the same URL
}

func (w *createdWebhook) text() string {
	text := fmt.Sprintf(`webhook %s registered for %s
event types: %s
secret, shown this once: %s

Store it where role web runs, for example:
  fly secrets set SEAM_WEBHOOK_SECRET=%s`, w.ID, w.URL, strings.Join(w.EventTypes, ", "), w.Secret, w.Secret)
	if len(w.SameURL) > 0 {
		text += fmt.Sprintf(`

Webhooks for the same URL were there before: %s.
Every event comes twice until you delete them. Until then set both secrets, by space:
  fly secrets set SEAM_WEBHOOK_SECRET="%s <the old one>"`, strings.Join(w.SameURL, ", "), w.Secret)
	}
	return text
}

func webhookCreate(ctx context.Context, p Process, link string, asJSON bool) error {
	if err := checkWebhookURL(link); err != nil {
		return usage(err)
	}
	client, err := openSeam(p)
	if err != nil {
		return err
	}
	defer client.Close()
	before, err := client.Webhooks(ctx)
	if err != nil {
		return fmt.Errorf("list webhooks: %w", err)
	}
	wanted, err := wantedTypes(p)
	if err != nil {
		return err
	}
	made, err := client.CreateWebhook(ctx, link, wanted)
	if err != nil {
		return fmt.Errorf("register the webhook: %w", err)
	}
	created := createdWebhook{ID: made.ID, URL: made.URL, EventTypes: made.EventTypes, Secret: made.Secret, SameURL: []string{}}
	for _, w := range before {
		if w.URL == link {
			created.SameURL = append(created.SameURL, w.ID)
		}
	}
	if len(created.SameURL) > 0 {
		warn(p, "a webhook for this URL is registered already: "+strings.Join(created.SameURL, ", "))
	}
	if !isOurs(link) {
		warn(p, "seamtag takes webhooks at "+webhookPath+": something in front of it has to lead this URL there")
	}
	return newOutput(p, asJSON).one(created, created.text())
}

func warn(p Process, text string) { _, _ = fmt.Fprintln(p.Stderr, "seamtag: warning: "+text) }

func checkWebhookURL(link string) error {
	u, err := url.Parse(link)
	switch {
	case link == "":
		return errors.New("--url is required: https://<your host>" + webhookPath)
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("--url %s: want an http or https URL, such as https://seamtag.example%s", link, webhookPath)
	}
	return nil
}

// isOurs tells whether a URL leads to seamtag, as far as its path shows.
func isOurs(link string) bool {
	u, err := url.Parse(link)
	return err == nil && strings.HasSuffix(u.Path, webhookPath)
}

// listedWebhook is what webhook list prints for each.
type listedWebhook struct {
	ID         string   `json:"webhook_id"`
	URL        string   `json:"url"`
	EventTypes []string `json:"event_types"`
	Ours       bool     `json:"ours"`     // its path ends as seamtag's
	Complete   bool     `json:"complete"` // it has every type that the rules ask for
	Missing    []string `json:"missing"`
}

func listed(w seam.Webhook, wanted []string) listedWebhook {
	l := listedWebhook{ID: w.ID, URL: w.URL, EventTypes: w.EventTypes, Missing: []string{}, Ours: isOurs(w.URL)}
	for _, eventType := range wanted {
		if !slices.Contains(w.EventTypes, eventType) && !slices.Contains(w.EventTypes, "*") {
			l.Missing = append(l.Missing, eventType)
		}
	}
	l.Complete = len(l.Missing) == 0
	return l
}

func (l *listedWebhook) verdict() cell {
	switch {
	case !l.Ours:
		return cell{text: "another system's"}
	case l.Complete:
		return cell{"ours, complete", green}
	}
	return cell{"ours, lacks " + strings.Join(l.Missing, ", "), red}
}

func webhookList(ctx context.Context, p Process, asJSON bool) error {
	client, err := openSeam(p)
	if err != nil {
		return err
	}
	defer client.Close()
	all, err := client.Webhooks(ctx)
	if err != nil {
		return fmt.Errorf("list webhooks: %w", err)
	}
	wanted, err := wantedTypes(p)
	if err != nil {
		return err
	}
	t := newOutput(p, asJSON).table("WEBHOOK", "URL", "TYPES", "")
	for _, w := range all {
		l := listed(w, wanted)
		if err := t.add(l, append(cells(l.ID, l.URL, strings.Join(l.EventTypes, ", ")), l.verdict())...); err != nil {
			return err
		}
	}
	if len(all) == 0 && !asJSON {
		text := "no webhook is registered; register one with: seamtag webhook create --url https://<your host>" + webhookPath
		return newOutput(p, false).one(nil, text)
	}
	return t.flush()
}
