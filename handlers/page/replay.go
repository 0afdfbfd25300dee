package page

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"seamtag/queue"
)

const (
	sampled       = 10 // events that the dry run of many shows
	previewsShown = 3  // accounts whose difference it shows: each costs calls to Seam
)

// replayView is the dry run of a replay.
type replayView struct {
	Entry    *queue.Entry // where it is of one event
	Search   search       // where it is of all that match
	Matched  int
	Sample   []queue.Entry
	Previews []previewView
	Fields   url.Values // what the form sends back
	Form     string     // and its token
}

// replayedView is what a replay did.
type replayedView struct {
	N          int
	Unfinished bool
}

// replayForm is the dry run. Nothing is replayed that it did not show: its form's token is good for this replay alone.
func (p *Page) replayForm(r *http.Request, s *session) (answer, error) {
	show := p.dryRunOfMany
	if r.URL.Query().Has("id") {
		show = p.dryRunOfOne
	}
	v, err := show(r.Context(), r.URL.Query())
	if err != nil {
		return answer{}, err
	}
	v.Form = p.sessions.form(s, replayAction(v.Fields))
	return answer{look: "replay", title: "Replay", nav: navEvents, data: v}, nil
}

func replayAction(fields url.Values) string { return "replay " + fields.Encode() }

func (p *Page) dryRunOfOne(ctx context.Context, q url.Values) (replayView, error) {
	e, err := p.o.Queue.Entry(ctx, q.Get("id"))
	if err != nil {
		return replayView{}, err
	}
	if !e.Status.Ended() {
		return replayView{}, refusal(http.StatusConflict, "This event has not ended", "It is being worked on, so there is nothing to replay.")
	}
	return replayView{
		Entry: &e, Matched: 1, Sample: []queue.Entry{e}, Previews: []previewView{p.preview(ctx, e.Key, e.Body, false)},
		Fields: url.Values{"id": {e.EntryID}},
	}, nil
}

func (p *Page) dryRunOfMany(ctx context.Context, q url.Values) (replayView, error) {
	s, err := readSearch(q)
	if err != nil {
		return replayView{}, err
	}
	if s.filter.Until.IsZero() { // what arrives after the dry run is not part of it
		s.filter.Until = p.o.Now()
		s.Until = s.filter.Until.UTC().Format(time.RFC3339Nano)
	}
	planned, err := p.o.Queue.ReplayMatching(ctx, s.filter, queue.ReplayOptions{DryRun: true})
	if err != nil {
		return replayView{}, err
	}
	v := replayView{Search: s, Matched: planned.Matched, Fields: s.values()}
	s.filter.Ended = true
	page, err := p.o.Queue.List(ctx, s.filter, "", sampled)
	if err != nil {
		return replayView{}, err
	}
	v.Sample = page.Entries
	seen := map[string]bool{}
	for _, e := range page.Entries {
		if e.Key != "" && !seen[e.Key] && len(v.Previews) < previewsShown {
			seen[e.Key] = true
			v.Previews = append(v.Previews, p.preview(ctx, e.Key, e.Body, false))
		}
	}
	return v, nil
}

// replay does what the dry run showed.
func (p *Page) replay(r *http.Request, s *session) (answer, error) {
	if err := r.ParseForm(); err != nil {
		return answer{}, badForm()
	}
	token := r.PostForm.Get("form")
	fields := r.PostForm
	fields.Del("form")
	if !p.sessions.showed(s, replayAction(fields), token) {
		return answer{}, forgedForm()
	}
	if id := fields.Get("id"); id != "" {
		return p.replayOne(r.Context(), id)
	}
	searched, err := readSearch(fields)
	if err != nil {
		return answer{}, err
	}
	done, err := p.o.Queue.ReplayMatching(r.Context(), searched.filter, queue.ReplayOptions{})
	if err != nil && done.Replayed == 0 {
		return answer{}, err
	}
	p.o.Log.Info().Int("replayed", done.Replayed).Err(err).Msg("events were replayed from the page")
	return answer{look: "replayed", title: "Replayed", nav: navEvents, data: replayedView{done.Replayed, err != nil}}, nil
}

func (p *Page) replayOne(ctx context.Context, id string) (answer, error) {
	n, err := p.o.Queue.Replay(ctx, id)
	if err != nil {
		return answer{}, fmt.Errorf("replay %s: %w", id, err)
	}
	p.o.Log.Info().Int("replayed", n).Str("entry_id", id).Msg("an event was replayed from the page")
	return answer{goTo: "/events/" + id}, nil
}
